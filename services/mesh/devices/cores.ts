import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { processorShare } from './processor-share.ts';

/**
 * Returns the numbers of the cores for a mesh or a process, ascending: all that this process may use, or as many
 * of them as its control group's share of processor time. Those begin at a place that `random`, in
 * [0, 1), chooses, so that containers with a share of one machine do not all take its first cores.
 */
export function usableCores(
  share: number | undefined = processorShare(),
  random: number = Math.random(),
): readonly number[] {
  const cores = allowedCores();
  if (share === undefined || share >= cores.length) return cores;
  const first = Math.floor(random * (cores.length - share + 1));
  return cores.slice(first, first + share);
}

function allowedCores(): readonly number[] {
  const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readOwnStatus()) ?? [];
  if (list === undefined) return Array.from({ length: availableParallelism() }, (_, i) => i);
  return parseCores(list);
}

/** Reads a list of cores: "0-2,5" as [0, 1, 2, 5]. */
export function parseCores(list: string): readonly number[] {
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
 * Distributes cores evenly and in order among `numDevices`, as device names; if there are too few,
 * they are used repeatedly.
 */
export function shareCores(cores: readonly number[], numDevices: number): readonly string[] {
  return Array.from({ length: numDevices }, (_, i) => {
    const first = Math.floor((i * cores.length) / numDevices);
    const next = Math.floor(((i + 1) * cores.length) / numDevices);
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
