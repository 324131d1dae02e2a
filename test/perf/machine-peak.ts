import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { property } from '#test/e2e/mesh.ts';
import type { Figure } from './figure.ts';

/** Peak speed of the machine, all cores together, measured by native code. */
export interface MachinePeak {
  readonly bytesPerSecond: number;
  /** Operations on float32 with the widest vectors. */
  readonly flopsPerSecond: number;
  /** Products of bfloat16, and of bytes; 0 if the processor has no instruction for them. */
  readonly bfloat16FlopsPerSecond: number;
  readonly int8OpsPerSecond: number;
}

export async function measureMachinePeak(): Promise<MachinePeak> {
  const program = join(PACKAGE_ROOT, 'build/cmake/print_machine_peak');
  const { stdout } = await promisify(execFile)(program);
  const peak: unknown = JSON.parse(stdout);
  const bytesPerSecond = Number(property(peak, 'bytesPerSecond'));
  const flopsPerSecond = Number(property(peak, 'flopsPerSecond'));
  assert(bytesPerSecond > 0 && flopsPerSecond > 0);
  const bfloat16FlopsPerSecond = Number(property(peak, 'bfloat16FlopsPerSecond'));
  const int8OpsPerSecond = Number(property(peak, 'int8OpsPerSecond'));
  return { bytesPerSecond, flopsPerSecond, bfloat16FlopsPerSecond, int8OpsPerSecond };
}

export function peakFigures(peak: MachinePeak): Figure[] {
  return [
    { name: 'machine: memory read', value: peak.bytesPerSecond / 1e9, unit: 'GB/s' },
    { name: 'machine: float32 arithmetic', value: peak.flopsPerSecond / 1e9, unit: 'GFLOP/s' },
    {
      name: 'machine: bfloat16 products',
      value: peak.bfloat16FlopsPerSecond / 1e9,
      unit: 'GFLOP/s',
    },
    { name: 'machine: int8 products', value: peak.int8OpsPerSecond / 1e9, unit: 'GOP/s' },
  ];
}
