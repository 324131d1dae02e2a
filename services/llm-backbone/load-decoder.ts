import { basename } from 'node:path';
import type { ModelFiles } from '#backbone/checkpoint/model-files.ts';
import type { StepExecutor } from '#backbone/engine/step-plan.ts';
import type { DecoderRows } from '#backbone/media/device-rows.ts';
import { usableCores } from '#mesh/devices/cores.ts';
import { deviceList } from '#mesh/devices/device-list.ts';
import { ownDevice } from '#mesh/devices/gpus.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { bytesOfMb, gib } from '#mesh/megabytes.ts';
import { activationDtypeOf, weightDtype, weightsInWords } from '#mesh/model-options.ts';
import { withLoadProgress } from '#mesh/process/load-progress.ts';
import { logWeightsCache } from '#mesh/process/weights-cache-log.ts';
import {
  cpuFeatures,
  type Decoder,
  type DecoderDescription,
  type DecoderOptions,
  describeDevice,
  deviceName,
  devices,
  EngineError,
  gpuRefusal,
  type IsaLevel,
  loadDecoder as loadNativeDecoder,
  usableGpus,
  type WatchLoad,
} from '#native';
import { decoderDevices } from './decoder-devices.ts';
import { outOfMemory } from './memory-need.ts';
import { type BackboneOptions, BLOCK_SIZE, type DeviceMemory, kvCacheSize } from './options.ts';

/** A decoder in memory and the devices that hold it. */
export interface LoadedDecoder {
  readonly executor: StepExecutor;
  /** What brings rows from GPUs of encoders to its own; undefined: rows come from the host. */
  readonly rows?: DecoderRows | undefined;
  readonly description: DecoderDescription;
  /** The names of the devices, comma separated. */
  readonly device: string;
  readonly numRanks: number;
  readonly isa: IsaLevel | '';
  /** Frees the decoder; called once, after its last step. */
  readonly close: () => Promise<void>;
}

/** Loads the weights onto the devices and logs it. */
export async function loadDecoder(
  options: BackboneOptions,
  files: ModelFiles,
  log: Log,
): Promise<LoadedDecoder> {
  const device = ownDevice(options, { listGpus: usableGpus, log });
  const devices = decoderDevices({ ...options, device }, usableCores());
  if (devices.length > deviceList(device).length) {
    log.info(
      `tensor-parallel-size ${devices.length}: ${device} is divided into ${devices.join(', ')}`,
    );
  }
  const memory = deviceMemory(devices);
  const cacheSize = kvCacheSize(options, memory);
  const decoderOptions: DecoderOptions = {
    model: { directory: options.model },
    device: devices,
    threads: options.threads,
    weightDtype: weightDtype(options.dtype),
    quantize: options.quantize,
    quantizeHead: options.quantizeHead,
    activationDtype: activationDtypeOf(options.dtype, files.dtype),
    kvCacheDtype: options.kvCacheDtype,
    blockSize: BLOCK_SIZE,
    ...cacheSize,
    maxNumBatchedTokens: options.maxNumBatchedTokens,
    enforceEager: options.enforceEager,
    ...(memory.kind === 'cuda' &&
      options.sharedMemory === 'auto' && { rowPoolBytes: bytesOfMb(options.gpuRowsMb) }),
    ...(options.weightsCache !== undefined && { weightsCache: options.weightsCache }),
  };
  const what = `the weights of ${basename(options.model)}`;
  const size =
    'kvCacheBytes' in cacheSize
      ? gib(cacheSize.kvCacheBytes)
      : `what ${cacheSize.kvCacheShare.ofMemory} of the memory leaves`;
  log.info(`loading ${what} (KV cache: ${size})`);
  const load = (watch: WatchLoad) => loadWeights(decoderOptions, memory.kind, watch);
  const decoder = await withLoadProgress(load, {
    log,
    what,
  });
  const { description } = decoder;
  logWeightsCache(log, description);
  const seconds = (description.loadMs / 1000).toFixed(1);
  const names = devices.map(deviceName);
  if (description.groupPath !== '') {
    log.info(`tensor parallelism: values of the devices meet through ${description.groupPath}`);
  }
  const placed = names.length > 1 ? 'distributed across' : 'loaded on';
  log.info(
    `LLM backbone ${placed} ${names.join(', ')} (${basename(options.model)}, ${weightsInWords(description)}, ${seconds} s)`,
  );
  if (!('kvCacheBytes' in cacheSize)) {
    const { numBlocks, blockSize } = description;
    log.info(`KV cache: ${gib(description.kvCacheBytes)}, ${numBlocks * blockSize} tokens`);
  }
  const isa = memory.kind === 'cpu' ? cpuFeatures().isa : '';
  const close = () => decoder.close();
  const { length: numRanks } = devices;
  const rows = rowsOf(decoder);
  return { executor: decoder, rows, description, device: names.join(), numRanks, isa, close };
}

function rowsOf(decoder: Decoder): DecoderRows | undefined {
  const { rowPoolBytes: numBytes, reachableDevices } = decoder.description;
  if (numBytes === 0) return undefined;
  return {
    numBytes,
    reachableDevices,
    openRowPool: (pool) => decoder.openRowPool(pool),
    closeRowPool: (source) => decoder.closeRowPool(source),
    copyRows: (copy) => decoder.copyRows(copy),
  };
}

/**
 * Loads the weights. Throws a MeshError if the engine refuses them (a damaged file, a missing
 * device), so that the log has one line and no stack.
 */
async function loadWeights(
  options: DecoderOptions,
  kind: DeviceMemory['kind'],
  watch: WatchLoad,
): Promise<Decoder> {
  try {
    return await loadNativeDecoder(options, watch);
  } catch (cause: unknown) {
    if (cause instanceof EngineError) {
      if (cause.reason === 'OUT_OF_MEMORY') throw outOfMemory(cause, kind);
      const reason = cause.reason === 'INVALID_REQUEST' ? 'INVALID_REQUEST' : 'ENGINE_FAILED';
      throw new MeshError(reason, cause.message, { cause });
    }
    throw cause;
  }
}

/** Returns why a device cannot be used; undefined if it can. */
function refusalOf(device: string): string | undefined {
  const refusal = gpuRefusal(device);
  if (refusal !== undefined || describeDevice(device) !== undefined) return refusal;
  const ids = devices()
    .map(({ id }) => id)
    .join(', ');
  return `${device}: no such device on this machine, which has ${ids}; write auto, cpu, cpu:0-3 or cuda:0`;
}

/** Returns the memory of all devices together; sets of cores share that of the CPU. */
function deviceMemory(devices: readonly string[]): DeviceMemory {
  for (const device of devices) {
    const why = refusalOf(device);
    if (why === undefined) continue;
    throw new MeshError('INVALID_REQUEST', `key "device": ${why}`, { param: 'device' });
  }
  const found = devices.flatMap((device) => describeDevice(device) ?? []);
  const memories = new Map(found.map(({ id, memoryBytes }) => [id, memoryBytes]));
  const memoryBytes = [...memories.values()].reduce((sum, bytes) => sum + bytes, 0);
  const kind = found.some((one) => one.kind === 'cuda') ? 'cuda' : 'cpu';
  return { kind, memoryBytes };
}
