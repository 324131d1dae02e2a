import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Returns the numbers of the cores that this process may use, ascending. */
export function usableCores(): readonly number[] {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readOwnStatus()) ?? [];
  if (list === undefined) return Array.from({ length: availableParallelism() }, (_, i) => i);
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Returns the process's status file on Linux; other systems have no such file. */
function readOwnStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    return '';
  }
}

/**
 * Distributes cores evenly and in order among `numProcesses`, as device names; if there are too
 * few, they are used repeatedly.
 */
export function shareCores(cores: readonly number[], numProcesses: number): readonly string[] {
  return Array.from({ length: numProcesses }, (_, i) => {
    const first = Math.floor((i * cores.length) / numProcesses);
    const next = Math.floor(((i + 1) * cores.length) / numProcesses);
    const share = cores.slice(first, next);
    return `cpu:${coreList(share.length > 0 ? share : cores.slice(first, first + 1))}`;
  });
}

/** Writes a list of cores: [0, 1, 2, 5] as "0-2,5". */
function coreList(cores: readonly number[]): string {
  const ranges: { first: number; last: number }[] = [];
  for (const core of cores) {
    const range = ranges.at(-1);
    if (range?.last === core - 1) range.last = core;
    else ranges.push({ first: core, last: core });
  }
  return ranges
    .map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`))
    .join(',');
}
