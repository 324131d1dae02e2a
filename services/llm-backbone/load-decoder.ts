import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import { activationDtype } from '#backbone/checkpoint/numerics.ts';
import type { StepExecutor } from '#backbone/engine/step-plan.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { weightDtype } from '#mesh/model-options.ts';
import {
  cpuFeatures,
  type Decoder,
  type DecoderDescription,
  type DecoderOptions,
  describeDevice,
  deviceName,
  devices,
  EngineError,
  type IsaLevel,
  loadDecoder as loadNativeDecoder,
} from '#native';
import { type BackboneOptions, BLOCK_SIZE, type DeviceMemory, kvCacheBytes } from './options.ts';

/** A decoder in memory and the device that holds it. */
export interface LoadedDecoder {
  readonly executor: StepExecutor;
  readonly description: DecoderDescription;
  readonly device: string;
  readonly isa: IsaLevel | '';
  /** Frees the decoder; called once, after its last step. */
  readonly close: () => Promise<void>;
}

/** Loads the weights onto the device and logs it. */
export async function loadDecoder(
  options: BackboneOptions,
  files: ModelFiles,
  log: Log,
): Promise<LoadedDecoder> {
  const decoder = await loadWeights({
    model: { directory: options.model },
    device: options.device,
    weightDtype: weightDtype(options.dtype),
    activationDtype: activationDtype(options, files),
    blockSize: BLOCK_SIZE,
    kvCacheBytes: kvCacheBytes(options, await deviceMemory(options)),
    maxNumBatchedTokens: options.maxNumBatchedTokens,
  });
  const { description } = decoder;
  const seconds = (description.loadMs / 1000).toFixed(1);
  const device = deviceName(options.device);
  log.info(
    `LLM backbone loaded on ${device} (${basename(options.model)}, ${description.weightDtype}, ${seconds} s)`,
  );
  const isa = describeDevice(options.device)?.kind === 'cpu' ? cpuFeatures().isa : '';
  return { executor: decoder, description, device, isa, close: () => decoder.close() };
}

/**
 * Loads the weights. Throws a MeshError if the engine refuses them (a damaged file, a missing
 * device), so that the log has one line and no stack.
 */
async function loadWeights(options: DecoderOptions): Promise<Decoder> {
  try {
    return await loadNativeDecoder(options);
  } catch (cause: unknown) {
    if (cause instanceof EngineError) {
      throw new MeshError('ENGINE_FAILED', cause.message, { cause });
    }
    throw cause;
  }
}

async function deviceMemory({ model, device }: BackboneOptions): Promise<DeviceMemory> {
  const found = describeDevice(device);
  if (found === undefined) {
    const known = devices().map(({ id }) => id);
    const message = `key "device": ${device} is not on this machine; it has ${known.join(', ')}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'device' });
  }
  const names = await readdir(model);
  const shards = names.filter((name) => name.endsWith('.safetensors'));
  const sizes = await Promise.all(shards.map((name) => stat(join(model, name))));
  const weightBytes = sizes.reduce((sum, { size }) => sum + size, 0);
  return { kind: found.kind, memoryBytes: found.memoryBytes, weightBytes };
}
