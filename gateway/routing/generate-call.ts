import { MeshError } from '#mesh/errors.ts';
import { MAX_RECEIVE_BYTES } from '#mesh/grpc/grpc-client.ts';
import { Http2Connection } from '#mesh/grpc/http2-connection.ts';
import { framed } from '#mesh/grpc/message-reader.ts';
import { receiveMessages } from '#mesh/grpc/receive-messages.ts';
import type { ClientStream } from '#mesh/http2/client-stream.ts';
import {
  GenerateRequest,
  GenerateResponse,
  type GenerateStart,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { mediaChunks } from './media-chunks.ts';

const { fullName, methods } = LlmBackboneServiceDefinition;
const GENERATE_PATH = `/${fullName}/${methods.generate.name}`;

/** One event of a generation. */
export type GenerateEvent = NonNullable<GenerateResponse['event']>;

/** Takes an event of a generation; a returned promise holds the next ones back. */
export type TakeEvent = (event: GenerateEvent) => Promise<void> | undefined;

/** The messages and media to send for one generation. */
export interface GenerateUpload {
  readonly start: GenerateStart;
  /** The bytes of each media item the start announces. */
  readonly media: readonly Buffer[];
}

/** How a call is made. */
export interface GenerateCallOptions {
  /** Cancels the call. */
  readonly signal: AbortSignal;
  /** Metadata of the call; unset: none. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** A failure of it cancels the call and is thrown. */
  readonly take: TakeEvent;
}

/**
 * Calls Generate on HTTP/2 itself: every token of every request passes here, and a client of gRPC
 * takes three times as long for a message.
 */
export class GenerateCaller {
  readonly #connection: Http2Connection;

  constructor(address: string) {
    this.#connection = new Http2Connection(address);
  }

  /** Runs one generation; resolves when the backbone has ended its answer. */
  async generate(upload: GenerateUpload, options: GenerateCallOptions): Promise<void> {
    const { signal, headers, take } = options;
    signal.throwIfAborted();
    const stream = this.#connection.begin({ path: GENERATE_PATH, metadata: headers });
    const received = receiveMessages(stream, {
      path: GENERATE_PATH,
      signal,
      maxMessageBytes: MAX_RECEIVE_BYTES,
      take: (message) => {
        const { event } = decode(message);
        return event && take(event);
      },
    });
    const start = messageOf({ event: { $case: 'start', value: upload.start } });
    if (upload.media.length === 0) {
      stream.end(start);
    } else {
      sendAll(stream, messagesOf(start, upload.media));
    }
    await received;
  }

  /** Makes no further calls; those that run are finished. */
  close(): void {
    this.#connection.close();
  }
}

function messageOf(request: GenerateRequest): Buffer {
  return framed(GenerateRequest.encode(request).finish());
}

function* messagesOf(start: Buffer, media: readonly Buffer[]): Generator<Buffer> {
  yield start;
  for (const chunk of mediaChunks(media)) yield messageOf(chunk);
}

/** Sends the messages as fast as the backbone takes them, then half-closes. */
function sendAll(stream: ClientStream, messages: Iterator<Buffer>): void {
  // A backbone that has answered wants no more.
  while (!stream.isEnded) {
    const next = messages.next();
    if (next.done === true) {
      stream.end();
      return;
    }
    if (!stream.write(next.value, () => sendAll(stream, messages))) return;
  }
}

function decode(message: Buffer): GenerateResponse {
  try {
    return GenerateResponse.decode(message);
  } catch (cause: unknown) {
    throw new MeshError('ENGINE_FAILED', 'the backbone sent a message that cannot be read', {
      cause,
    });
  }
}
