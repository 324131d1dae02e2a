import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import Type from 'typebox';
import Value from 'typebox/value';
import { type GpuList, mayHaveGpus, NO_GPUS } from '#mesh/devices/gpus.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { codePath } from './code-path.ts';

/** Longest time that a driver may take to list its GPUs, milliseconds. */
const LIST_LIMIT_MS = 30_000;

const gpuListSchema = Type.Object({
  gpus: Type.Array(Type.Object({ id: Type.String(), name: Type.String() })),
  refusals: Type.Array(Type.String()),
});

/**
 * Lists the GPUs of this machine, which a process of its own asks for: a driver stays in whatever has
 * opened it. A driver that cannot be asked is a refusal.
 */
export async function findGpus(): Promise<GpuList> {
  if (!mayHaveGpus(process.env)) return NO_GPUS;
  try {
    const args = [...process.execArgv, codePath('native/print-gpus')];
    const options = { timeout: LIST_LIMIT_MS, killSignal: 'SIGKILL' } as const;
    const { stdout } = await promisify(execFile)(process.execPath, args, options);
    const list: unknown = JSON.parse(stdout);
    if (!Value.Check(gpuListSchema, list)) throw new Error(`got ${stdout.trim()}`);
    return list;
  } catch (error: unknown) {
    return { gpus: [], refusals: [`the driver could not be asked: ${errorMessage(error)}`] };
  }
}
