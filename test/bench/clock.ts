/** Microseconds of the machine's monotonic clock, which all processes share on Linux. */
export const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);
