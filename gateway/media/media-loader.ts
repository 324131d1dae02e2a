import type { MediaReference, MediaSource } from '#gateway/openai/request/media-reference.ts';
import { ContentHash } from '#mesh/encode/content-hash.ts';
import { MeshError } from '#mesh/errors.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { decodeBase64, maxBase64Chars } from './base64.ts';
import { ByteBudget, type ByteLimits, type HoldBytes, type ItemBudget } from './byte-budget.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import { checkItemCounts, type ItemLimits } from './item-limits.ts';
import { readLocalFile } from './local-file.ts';
import { decodePercent } from './percent-encoding.ts';
import type { Asker } from './place-counts.ts';
import { sniffMediaType } from './sniff.ts';

/** A media item whose bytes are loaded and are of a format the encoders read. */
export interface LoadedMedia {
  readonly modality: MediaModality;
  /** IANA media type, by magic number. */
  readonly mediaType: string;
  readonly bytes: Buffer;
  /** SHA-256 of `bytes`, 32 bytes. */
  readonly contentHash: Buffer;
  /** Path of the item in the request. */
  readonly param: string;
}

export interface MediaSources extends ByteLimits {
  readonly itemLimits: ItemLimits;
  /** Fetches remote URLs; they are refused if it is undefined. */
  readonly remote: GuardedFetch | undefined;
  /** Folder below which file:// URLs are read; they are refused if it is undefined. */
  readonly localRoot: string | undefined;
}

/** Who asks for media, and until when. */
export interface LoadCall {
  /** Name of the client; clients share the fetches that run at the same time. */
  readonly clientId: string;
  readonly hold: HoldBytes;
  readonly signal: AbortSignal;
}

/** Loads the media of requests. */
export class MediaLoader {
  readonly #sources: MediaSources;

  constructor(sources: MediaSources) {
    this.#sources = sources;
  }

  /**
   * Loads all items of one request in parallel and returns them in order; the first failure ends
   * the others.
   */
  async load(
    references: readonly MediaReference[],
    { clientId, hold, signal }: LoadCall,
  ): Promise<LoadedMedia[]> {
    checkItemCounts(references, this.#sources.itemLimits);
    const budget = new ByteBudget(this.#sources);
    const failure = new AbortController();
    const either = AbortSignal.any([signal, failure.signal]);
    const asker = { clientId };
    const loading = references.map(async (reference) => {
      try {
        return await this.#item(reference, {
          // Bytes of a form are those of its body.
          budget: budget.item(
            reference.param,
            reference.source.kind === 'bytes' ? undefined : hold,
          ),
          asker,
          signal: either,
        });
      } catch (error: unknown) {
        failure.abort(error);
        throw error;
      }
    });
    await Promise.allSettled(loading);
    signal.throwIfAborted();
    failure.signal.throwIfAborted();
    return Promise.all(loading);
  }

  async #item(reference: MediaReference, call: ItemCall): Promise<LoadedMedia> {
    call.signal.throwIfAborted();
    const { modality, param } = reference;
    const bytes = await this.#bytes(reference, call);
    const mediaType = sniffMediaType(bytes, reference);
    const hash = new ContentHash();
    await hash.update(bytes);
    return { modality, mediaType, bytes, contentHash: hash.digest(), param };
  }

  async #bytes({ source, param }: MediaReference, call: ItemCall): Promise<Buffer> {
    switch (source.kind) {
      case 'base64':
        return decodedBytes(source.text, { param, budget: call.budget });
      case 'percent':
        return percentBytes(source, { param, budget: call.budget });
      case 'bytes':
        call.budget.take(source.bytes.length);
        return source.bytes;
      case 'file':
        return readLocalFile(source.url, this.#sources.localRoot, { param, ...call });
      case 'remote':
        return this.#fetch(source.url, { param, ...call });
    }
  }

  async #fetch(url: URL, call: ItemCall & { readonly param: string }): Promise<Buffer> {
    const { remote } = this.#sources;
    if (remote !== undefined) return remote.fetch(url, call);
    const message = `${call.param}: this server fetches no media; send a base64 data URL`;
    throw new MeshError('INVALID_REQUEST', message, { param: call.param });
  }
}

interface ItemCall {
  readonly budget: ItemBudget;
  readonly asker: Asker;
  readonly signal: AbortSignal;
}

type PercentSource = Extract<MediaSource, { readonly kind: 'percent' }>;

interface DecodeCall {
  readonly param: string;
  readonly budget: ItemBudget;
}

async function decodedBytes(text: string, { param, budget }: DecodeCall): Promise<Buffer> {
  const decoded = await decodeBase64(text, budget.maxBytes);
  switch (decoded.outcome) {
    case 'decoded':
      budget.take(decoded.bytes.length);
      return decoded.bytes;
    case 'too-large':
      throw budget.refuse();
    case 'malformed':
      throw new MeshError('INVALID_REQUEST', `${param} is not valid base64`, { param });
  }
}

async function percentBytes({ text, isBase64 }: PercentSource, call: DecodeCall): Promise<Buffer> {
  const { budget } = call;
  const maxBytes = isBase64 ? maxBase64Chars(budget.maxBytes) : budget.maxBytes;
  const bytes = await decodePercent(text, maxBytes);
  if (bytes === undefined) throw budget.refuse();
  if (isBase64) return decodedBytes(bytes.toString('latin1'), call);
  budget.take(bytes.length);
  return bytes;
}
