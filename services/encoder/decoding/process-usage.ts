import { readFileSync } from 'node:fs';

/** Clock ticks of a second in /proc, which Linux fixes for every program (USER_HZ). */
const TICKS_A_SECOND = 100;
const PAGE_BYTES = 4096;

export interface ProcessUsage {
  /** CPU time of all its threads since it started. */
  readonly cpuMs: number;
  readonly residentBytes: number;
}

/** Returns what a process has used; null where the system does not tell, or it is gone. */
export function processUsage(pid: number): ProcessUsage | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may hold spaces; the fields count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [user, system, pages] = [fields[11], fields[12], fields[21]].map(Number);
    const cpuMs = (((user ?? 0) + (system ?? 0)) * 1000) / TICKS_A_SECOND;
    return { cpuMs, residentBytes: (pages ?? 0) * PAGE_BYTES };
  } catch {
    return null;
  }
}
