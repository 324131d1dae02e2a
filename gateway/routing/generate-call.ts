import { credentials, Client as GrpcClient, Metadata } from '@grpc/grpc-js';
import type { Channel } from 'nice-grpc';
import {
  GenerateRequest,
  GenerateResponse,
  type GenerateStart,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { GENERATE_PATH, GenerateResponses, type GenerateStream } from './generate-responses.ts';
import { mediaChunks } from './media-chunks.ts';

/** One event of a generation. */
export type GenerateEvent = NonNullable<GenerateResponse['event']>;

/** The messages and media to send for one generation. */
export interface GenerateUpload {
  readonly start: GenerateStart;
  /** The bytes of each media item the start announces. */
  readonly media: readonly Buffer[];
}

/** How a call is made. */
export interface GenerateCallOptions {
  readonly signal: AbortSignal;
  /** Metadata of the call; unset: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/**
 * Calls Generate directly on grpc-js: every token of every request passes here, and the generators
 * in the generic client cost as much as the call itself.
 */
export class GenerateCaller {
  readonly #client: GrpcClient;

  constructor(address: string, channel: Channel) {
    const options = { channelOverride: channel };
    this.#client = new GrpcClient(address, credentials.createInsecure(), options);
  }

  /**
   * Runs one generation when it is iterated; an early end of the iteration, or the signal, cancels
   * it.
   */
  generate(upload: GenerateUpload, options: GenerateCallOptions): AsyncIterable<GenerateResponse> {
    return { [Symbol.asyncIterator]: () => this.#start(upload, options) };
  }

  #start(upload: GenerateUpload, { signal, headers }: GenerateCallOptions): GenerateResponses {
    signal.throwIfAborted();
    const call = this.#client.makeBidiStreamRequest(
      GENERATE_PATH,
      serialize,
      deserialize,
      metadataOf(headers),
    );
    const responses = new GenerateResponses(call, signal);
    call.write({ event: { $case: 'start', value: upload.start } });
    sendRest(call, mediaChunks(upload.media));
    return responses;
  }
}

/** Sends the messages as fast as the backbone takes them, then half-closes. */
function sendRest(call: GenerateStream, requests: Iterator<GenerateRequest>): void {
  for (;;) {
    const next = requests.next();
    if (next.done === true) {
      call.end();
      return;
    }
    if (!call.write(next.value)) {
      call.once('drain', () => sendRest(call, requests));
      return;
    }
  }
}

function metadataOf(headers: GenerateCallOptions['headers']): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value);
  return metadata;
}

function serialize(request: GenerateRequest): Buffer {
  const bytes = GenerateRequest.encode(request).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function deserialize(bytes: Buffer): GenerateResponse {
  return GenerateResponse.decode(bytes);
}
