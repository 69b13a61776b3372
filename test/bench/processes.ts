import { readdirSync, readFileSync } from "node:fs";

/** Ticks of the processor times in /proc; the same on every Linux platform that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Positions after the name, which may hold blanks (man 5 proc_pid_stat). */
const FIELD = { parent: 1, user: 11, system: 12, reapedUser: 13, reapedSystem: 14 };

interface ProcessTimes {
  readonly parent: number;
  readonly ownTicks: number;
  /** Of children that have ended and were waited for. */
  readonly reapedTicks: number;
}

/** Processor seconds that a process has used, in steps of 10 ms. */
export function cpuSeconds(pid: number): number {
  return timesOf(pid).ownTicks / TICKS_PER_SECOND;
}

/** The same of a process with all its children, also those that have ended. */
export function cpuSecondsOfFamily(pid: number): number {
  const { ownTicks, reapedTicks } = timesOf(pid);
  const children = childrenOf(pid).reduce((sum, child) => sum + child.ownTicks + child.reapedTicks, 0);
  return (ownTicks + reapedTicks + children) / TICKS_PER_SECOND;
}

/** The most memory that a process has held at a time since it started. */
export function peakBytes(pid: number): number {
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) * 1024;
}

/** What the living child of a process uses that runs `program`. */
export function childOf(pid: number, program: string): { cpuSeconds(): number; peakBytes(): number } {
  const child = childrenOf(pid).find(({ pid: own }) => readFileSync(`/proc/${own}/cmdline`, "utf8").includes(program));
  if (child === undefined) throw new Error(`no child of process ${pid} runs ${program}`);
  return { cpuSeconds: () => cpuSeconds(child.pid), peakBytes: () => peakBytes(child.pid) };
}

function childrenOf(pid: number): readonly (ProcessTimes & { readonly pid: number })[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const times = timesOf(Number(entry));
      return times.parent === pid ? [{ ...times, pid: Number(entry) }] : [];
    } catch {
      return []; // It ended while we looked.
    }
  });
}

function timesOf(pid: number): ProcessTimes {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const at = (field: number) => Number(fields[field]);
  return {
    parent: at(FIELD.parent),
    ownTicks: at(FIELD.user) + at(FIELD.system),
    reapedTicks: at(FIELD.reapedUser) + at(FIELD.reapedSystem),
  };
}
