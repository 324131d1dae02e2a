import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { MeshError } from '#mesh/errors.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { Figure } from '#test/perf/figure.ts';

const FOLDER = join(PACKAGE_ROOT, 'build/cmake');
const PROGRAM = 'gpu_bench';

const FIGURE = Type.Object({
  name: Type.String(),
  value: Type.Number(),
  unit: Type.String(),
  limit: Type.Optional(Type.Object({ name: Type.String(), share: Type.Number() })),
});

/**
 * Measures a decoder on a GPU with a program of its own, which needs no Node: `gpu-check` runs it
 * where there is none.
 */
export async function* benchGpu(ordinal: string, numLayers: number): AsyncGenerator<Figure> {
  await build();
  const args = ['--device', ordinal, '--layers', String(numLayers), '--json'];
  const child = spawn(join(FOLDER, PROGRAM), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    yield Value.Parse(FIGURE, JSON.parse(line));
  }
  const [code] = await exit;
  if (code !== 0) throw new MeshError('ENGINE_FAILED', `${PROGRAM} ended with status ${code}`);
}

async function build(): Promise<void> {
  const args = ['--build', FOLDER, '--parallel', '2', '--target', PROGRAM];
  await promisify(execFile)('cmake', args).catch((cause: unknown) => {
    const message = `${PROGRAM} cannot be built: it needs the CUDA compiler nvcc, found when the native addon is built`;
    throw new MeshError('ENGINE_FAILED', message, { cause });
  });
}
