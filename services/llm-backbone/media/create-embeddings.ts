import { type BackboneOptions, encoderAddresses } from '#backbone/options.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { staticMembership } from '#mesh/peers/static-membership.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { Embeddings } from './embeddings.ts';
import { EncoderClient } from './encoder-client.ts';
import { MediaBuffer } from './media-buffer.ts';
import { MediaMetrics } from './media-metrics.ts';

const MIB = 1024 ** 2;

/** Opens clients of the encoders that are configured for modalities of the checkpoint. */
export function createEmbeddings(
  options: BackboneOptions,
  parts: {
    readonly model: GetModelResponse;
    /** Modalities the checkpoint reads. */
    readonly modalities: readonly MediaModality[];
    readonly registry: MetricRegistry;
    readonly log: Log;
    /** Called when an encoder has come or gone. */
    readonly onEncoders: () => void;
  },
): { readonly embeddings: Embeddings; readonly mediaBuffer: MediaBuffer } {
  const { model, modalities, registry, log, onEncoders: onChange } = parts;
  const metrics = new MediaMetrics(registry, model.servedNames[0] ?? '');
  const clients = new Map(
    modalities.flatMap((modality) => {
      const addresses = encoderAddresses(options, modality);
      if (addresses.length === 0) return [];
      const client = new EncoderClient({
        modality,
        membership: staticMembership(addresses),
        expected: model,
        maxStreams: options.maxEncodeStreams,
        metrics,
        log,
        onChange,
      });
      metrics.watchEncoders(modality, () => client.peers);
      return [[modality, client] as const];
    }),
  );
  const embeddings = new Embeddings({
    clients,
    checkpointModalities: modalities,
    modelId: model.modelId,
    cacheBytes: Math.floor(options.embeddingCacheMb * MIB),
    metrics,
  });
  const mediaBuffer = new MediaBuffer({
    maxRequestBytes: Math.floor(options.maxRequestMediaMb * MIB),
    maxBufferBytes: Math.floor(options.mediaBufferMb * MIB),
  });
  const levels = {
    cacheBytes: () => embeddings.cacheBytes,
    bufferBytes: () => mediaBuffer.numBytes,
  };
  metrics.watch(levels);
  return { embeddings, mediaBuffer };
}
