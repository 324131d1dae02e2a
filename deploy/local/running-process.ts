import { readFileSync } from 'node:fs';

/** A process by its id and the time of its start, since ids are given again. */
export interface RunningProcess {
  readonly pid: number;
  /** Clock ticks from the start of the machine to that of the process; "" where unknown. */
  readonly startTicks: string;
}

/** Describes this process. */
export function thisProcess(): RunningProcess {
  return { pid: process.pid, startTicks: startTicksOf(process.pid) };
}

/** Tells whether the process still runs. */
export function isRunning({ pid, startTicks }: RunningProcess): boolean {
  try {
    process.kill(pid, 0);
  } catch (error: unknown) {
    // A process of another user exists, but may not be signalled.
    const isForbidden = error instanceof Error && 'code' in error && error.code === 'EPERM';
    if (!isForbidden) return false;
  }
  return startTicksOf(pid) === startTicks;
}

/** Reads when a process started; only Linux tells. */
function startTicksOf(pid: number): string {
  try {
    // The file holds `pid (name) state ...`; the name may contain parentheses and spaces.
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
