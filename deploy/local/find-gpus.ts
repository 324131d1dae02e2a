import { fork } from 'node:child_process';
import { text } from 'node:stream/consumers';
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
    const printed = await printedGpus();
    const list: unknown = JSON.parse(printed);
    if (!Value.Check(gpuListSchema, list)) throw new Error(`got ${printed.trim()}`);
    return list;
  } catch (error: unknown) {
    return { gpus: [], refusals: [`the driver could not be asked: ${errorMessage(error)}`] };
  }
}

/** Returns what the process prints. It gets the flags of this one, but no script of a flag (`-e`). */
async function printedGpus(): Promise<string> {
  const child = fork(codePath('native/print-gpus'), {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    timeout: LIST_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  const printed = child.stdout === null ? '' : text(child.stdout);
  return Promise.race([printed, failed]);
}
