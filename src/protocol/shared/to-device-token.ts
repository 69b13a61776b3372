const TOKEN = /^-(\d{1,16})$/;

/**
 * The sequence that a token of ours names; undefined: it is from elsewhere. Clients keep the token for ever and send it to native
 * servers as well, which read a number in it that is smaller than all of theirs: they delete nothing, and deliver everything.
 */
export function parseToDeviceToken(text: string): number | undefined {
  const sequence = Number(TOKEN.exec(text)?.[1]);
  return Number.isSafeInteger(sequence) ? sequence : undefined;
}

export const toDeviceToken = (sequence: number): string => `-${sequence}`;
