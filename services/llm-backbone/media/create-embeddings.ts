import { type BackboneOptions, encoderAddresses, mayHaveEncoders } from '#backbone/options.ts';
import { systemClock } from '#mesh/async/clock.ts';
import type { Log } from '#mesh/log/log.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { endsByLease, openMembership } from '#mesh/membership/open-membership.ts';
import { isToldOf } from '#mesh/membership/supervised-membership.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import { ENCODER_ROLES, type MediaModality } from '#mesh/modality.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { type DecoderRows, DeviceRows } from './device-rows.ts';
import { EmbeddingCache } from './embedding-cache.ts';
import { Embeddings } from './embeddings.ts';
import { EncoderClient } from './encoder-client.ts';
import { MediaBuffer } from './media-buffer.ts';
import { MediaMetrics } from './media-metrics.ts';

/** Opens the encoders that are configured for modalities of the checkpoint. */
export function createEmbeddings(
  options: BackboneOptions,
  parts: {
    readonly model: GetModelResponse;
    /** Where rows of an encoder's GPU go; undefined: nowhere. */
    readonly rows: DecoderRows | undefined;
    /** Modalities the checkpoint reads. */
    readonly modalities: readonly MediaModality[];
    readonly registry: MetricRegistry;
    readonly log: Log;
    /** Called when an encoder has come or gone. */
    readonly onEncoders: () => void;
  },
): { readonly embeddings: Embeddings; readonly mediaBuffer: MediaBuffer } {
  const { model, rows, modalities, registry, log, onEncoders } = parts;
  const cache = new EmbeddingCache(bytesOfMb(options.embeddingCacheMb));
  const reclaim = () => cache.dropPooled();
  const deviceRows = rows && new DeviceRows(rows, { reclaim, log });
  const opened: EncoderClient[] = [];
  const onChange = () => {
    onEncoders();
    void deviceRows?.keep(opened.flatMap(({ deviceReaders }) => deviceReaders));
  };
  const metrics = new MediaMetrics(registry, model.servedNames[0] ?? '');
  const clients = new Map(
    modalities.flatMap((modality) => {
      const role = ENCODER_ROLES[modality];
      if (!mayHaveEncoders(options, modality) && !isToldOf(role)) return [];
      const { registry: address } = options;
      const sources = { registry: address, addresses: encoderAddresses(options, modality) };
      const client = new EncoderClient({
        modality,
        membership: openMembership(sources, role, { log, clock: systemClock }),
        keepsReady: endsByLease(options),
        expected: model,
        maxStreams: options.maxEncodeStreams,
        maxWaiting: options.maxEncodeStreams,
        progressTimeoutS: options.progressTimeoutS,
        recoveryWaitS: options.recoveryWaitS,
        maxFails: options.maxFails,
        failTimeoutS: options.failTimeoutS,
        isHedging: options.encodeHedge,
        isSharing: options.sharedMemory === 'auto',
        deviceRows,
        metrics,
        log,
        onChange,
      });
      opened.push(client);
      metrics.watchEncoders(modality, client);
      return [[modality, client] as const];
    }),
  );
  const embeddings = new Embeddings({
    clients,
    checkpointModalities: modalities,
    modelId: model.modelId,
    cache,
    metrics,
  });
  const mediaBuffer = new MediaBuffer({
    maxRequestBytes: bytesOfMb(options.maxRequestMediaMb),
    maxBufferBytes: bytesOfMb(options.mediaBufferMb),
  });
  const levels = {
    cacheBytes: () => cache.bytes,
    bufferBytes: () => mediaBuffer.numBytes,
    pooledBytes: () => deviceRows?.pool.takenBytes ?? 0,
  };
  metrics.watch(levels);
  return { embeddings, mediaBuffer };
}
