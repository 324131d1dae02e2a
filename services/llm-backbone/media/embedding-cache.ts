import type { DeviceEmbedding, HostEmbedding } from '#backbone/engine/row-source.ts';
import { RowCache } from '#mesh/encode/row-cache.ts';

/** Keeps embeddings by item key. */
export class EmbeddingCache extends RowCache<HostEmbedding, DeviceEmbedding> {
  /** `maxBytes` bounds the sum of all rows in memory of the host; 0 keeps nothing at all. */
  constructor(maxBytes: number) {
    super({ maxBytes, bytesOf: ({ rows }) => rows.byteLength });
  }
}
