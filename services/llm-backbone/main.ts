import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type ModelFiles, readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { weightDtype } from '#mesh/model-options.ts';
import { runProcess } from '#mesh/process-main.ts';
import {
  cpuFeatures,
  type Decoder,
  type DecoderOptions,
  describeDevice,
  deviceName,
  devices,
  EngineError,
  loadDecoder,
} from '#native';
import { type Backbone, type LoadedDecoder, startBackbone } from './backbone.ts';
import {
  type BackboneOptions,
  BLOCK_SIZE,
  backboneOptions,
  checkBackboneOptions,
  type DeviceMemory,
  kvCacheBytes,
} from './options.ts';

async function start(options: BackboneOptions, log: Log): Promise<Backbone> {
  checkBackboneOptions(options);
  const files = await readModelFiles(options.model, options.chatTemplate);
  const decoder = await load(options, files, log);
  const backbone = await startBackbone(options, decoder, files, log);
  log.info(`LLM backbone listening on ${backbone.address}`);
  backbone.done.catch(async (err: unknown) => {
    // Whoever waits gets its error before the supervisor starts this process again.
    log.error({ err }, 'the engine is dead');
    await backbone.drain(0).finally(() => process.exit(1));
  });
  return backbone;
}

/** Loads the weights onto the device and says so. */
async function load(options: BackboneOptions, files: ModelFiles, log: Log): Promise<LoadedDecoder> {
  const decoder = await loadWeights({
    model: { directory: options.model },
    device: options.device,
    ...dtypes(options, files),
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
  return { executor: decoder, description, device, isa };
}

/** What the engine refuses (a damaged file, a device that is not there) is one line, not a stack. */
async function loadWeights(options: DecoderOptions): Promise<Decoder> {
  try {
    return await loadDecoder(options);
  } catch (cause: unknown) {
    if (cause instanceof EngineError) {
      throw new MeshError('ENGINE_FAILED', cause.message, { cause });
    }
    throw cause;
  }
}

/**
 * Activations follow the weights, but never to float16: GLM-4's residuals overflow it, so float16
 * weights compute in float32.
 */
function dtypes(
  { dtype }: BackboneOptions,
  files: ModelFiles,
): Pick<DecoderOptions, 'weightDtype' | 'activationDtype'> {
  const stored = dtype === 'auto' ? files.dtype : dtype;
  return {
    weightDtype: weightDtype(dtype),
    activationDtype: stored === 'bfloat16' ? 'bfloat16' : 'float32',
  };
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

runProcess({ role: 'llm-backbone', required: '--model DIR', schema: backboneOptions, start });
