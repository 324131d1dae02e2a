import { LRUCache } from 'lru-cache';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import { GenerateResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Reply } from './reply.ts';

/** Bytes that a reply counts besides its events. */
const REPLY_BYTES = 1024;

/** A reply whose events are encoded, which take a fraction of the memory. */
interface EncodedReply extends Omit<Reply, 'events'> {
  /** Events of each prompt, each event a GenerateResponse. */
  readonly encoded: readonly (readonly Uint8Array[])[];
}

export interface ReplyCacheLimits {
  readonly maxBytes: number;
  readonly ttlMs: number;
}

/** Keeps answers by what was asked and by whom; the least recently used go first. */
export class ReplyCache {
  readonly #replies: LRUCache<string, EncodedReply>;

  constructor({ maxBytes, ttlMs }: ReplyCacheLimits) {
    this.#replies = new LRUCache({ maxSize: maxBytes, ttl: ttlMs, sizeCalculation: sizeOf });
  }

  get bytes(): number {
    return this.#replies.calculatedSize;
  }

  get(key: string): Reply | undefined {
    const found = this.#replies.get(key);
    if (found === undefined) return undefined;
    const { encoded, ...facts } = found;
    return { ...facts, events: encoded.map((events) => events.flatMap(decoded)) };
  }

  /** Keeps a reply; one larger than the whole cache is not kept. */
  set(key: string, { events, ...facts }: Reply): void {
    const encoded = events.map((ofPrompt) => ofPrompt.map(encodedEvent));
    this.#replies.set(key, { ...facts, encoded });
  }
}

function encodedEvent(event: GenerateEvent): Uint8Array {
  return GenerateResponse.encode({ event }).finish();
}

function decoded(bytes: Uint8Array): GenerateEvent[] {
  const { event } = GenerateResponse.decode(bytes);
  return event === undefined ? [] : [event];
}

function sizeOf({ encoded }: EncodedReply): number {
  return encoded.flat().reduce((sum, { length }) => sum + length, REPLY_BYTES);
}
