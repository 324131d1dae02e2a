import { abortable } from '#mesh/async/abortable.ts';
import { ContentHash } from '#mesh/encode/content-hash.ts';
import { checkChunkLength } from '#mesh/encode/upload-limits.ts';
import { MeshError } from '#mesh/errors.ts';
import { ItemBytes } from '#mesh/item-bytes.ts';
import type { GenerateRequest, MediaChunk } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { type EncodableItem, type MediaIdentity, mediaParam } from './media-item.ts';

/** An item with its bytes, whoever asked for it. */
export type ReceivedItem = Omit<EncodableItem, 'requestId' | 'client' | 'call'>;

/**
 * Reads the messages after a start up to the half-close: the bytes of the announced items. Size and
 * hash of each item must be as announced.
 */
export async function receiveMedia(
  messages: AsyncIterator<GenerateRequest>,
  announced: readonly MediaIdentity[],
  signal: AbortSignal,
): Promise<readonly ReceivedItem[]> {
  const uploads = announced.map((identity, index) => new ItemUpload(identity, index));
  for (;;) {
    const message = await abortable(messages.next(), signal);
    // A cancelled call ends its request stream just as a half-close does.
    signal.throwIfAborted();
    if (message.done === true) break;
    const { mediaIndex, data } = chunkOf(message.value);
    const upload = uploads[mediaIndex];
    if (upload === undefined) {
      const message = `a media chunk names item ${mediaIndex}, the start names ${announced.length} media items`;
      throw new MeshError('INVALID_REQUEST', message);
    }
    await upload.push(data);
  }
  return uploads.map((upload) => upload.finish());
}

function chunkOf({ event }: GenerateRequest): MediaChunk {
  if (event?.$case === 'start') throw new MeshError('INVALID_REQUEST', 'a second start');
  if (event === undefined) throw new MeshError('INVALID_REQUEST', 'a message without an event');
  checkChunkLength(event.value.data.length);
  return event.value;
}

/** Collects the bytes of one item as they arrive. */
class ItemUpload {
  readonly #identity: MediaIdentity;
  readonly #index: number;
  readonly #bytes = new ItemBytes();
  readonly #hash = new ContentHash();

  constructor(identity: MediaIdentity, index: number) {
    this.#identity = identity;
    this.#index = index;
  }

  async push(chunk: Buffer): Promise<void> {
    const { sizeBytes } = this.#identity;
    const numBytes = this.#bytes.numBytes + chunk.length;
    if (numBytes > sizeBytes) {
      throw this.#broken(`size_bytes says ${sizeBytes} bytes, ${numBytes} have arrived`);
    }
    this.#bytes.push(chunk);
    await this.#hash.update(chunk);
  }

  finish(): ReceivedItem {
    const { sizeBytes, contentHash } = this.#identity;
    const { numBytes, blocks } = this.#bytes;
    if (numBytes < sizeBytes) throw this.#broken(`${numBytes} of ${sizeBytes} bytes arrived`);
    const digest = this.#hash.digest();
    if (!digest.equals(contentHash)) {
      const [wanted, got] = [contentHash.toString('hex'), digest.toString('hex')];
      throw this.#broken(`content_hash is ${wanted}, the bytes have ${got}`);
    }
    return { ...this.#identity, chunks: blocks };
  }

  #broken(what: string): MeshError {
    const message = `media item ${this.#index}: ${what}`;
    return new MeshError('INVALID_REQUEST', message, { param: mediaParam(this.#index) });
  }
}
