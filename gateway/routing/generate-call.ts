import {
  type ClientDuplexStream,
  credentials,
  Client as GrpcClient,
  Metadata as GrpcMetadata,
  type ServiceError,
} from '@grpc/grpc-js';
import type { Channel } from 'nice-grpc';
import { ClientError, Metadata } from 'nice-grpc-common';
import { DETAILS_TRAILER, meshErrorFromStatus } from '#mesh/grpc/error-status.ts';
import {
  GenerateRequest,
  GenerateResponse,
  type GenerateStart,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { mediaChunks } from './media-chunks.ts';

const { fullName, methods } = LlmBackboneServiceDefinition;
const PATH = `/${fullName}/${methods.generate.name}`;

type GenerateStream = ClientDuplexStream<GenerateRequest, GenerateResponse>;

/** One event of a generation. */
export type GenerateEvent = NonNullable<GenerateResponse['event']>;

/** What is sent for one generation. */
export interface GenerateUpload {
  readonly start: GenerateStart;
  /** The bytes of each media item the start announces. */
  readonly media: readonly Buffer[];
}

/**
 * Calls Generate on grpc-js itself: every token of every request passes here, and the generic
 * client's layers of generators cost as much as the call.
 */
export class GenerateCaller {
  readonly #client: GrpcClient;

  constructor(address: string, channel: Channel) {
    const options = { channelOverride: channel };
    this.#client = new GrpcClient(address, credentials.createInsecure(), options);
  }

  /** Runs one generation; leaving the iteration, or the signal, cancels it. */
  async *generate(upload: GenerateUpload, signal: AbortSignal): AsyncGenerator<GenerateResponse> {
    signal.throwIfAborted();
    const call = this.#client.makeBidiStreamRequest(PATH, serialize, deserialize);
    let wake = () => {};
    let failure: unknown;
    let isOver = false;
    call.on('readable', () => wake());
    call.on('end', () => {
      isOver = true;
      wake();
    });
    call.on('error', (error) => {
      failure = meshErrorOf(error);
      isOver = true;
      wake();
    });
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel);
    call.write({ event: { $case: 'start', value: upload.start } });
    sendRest(call, mediaChunks(upload.media));
    try {
      for (;;) {
        const response: GenerateResponse | null = call.read();
        if (response !== null) yield response;
        else if (failure !== undefined) throw failure;
        else if (isOver) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      if (!isOver) call.cancel();
    }
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

function serialize(request: GenerateRequest): Buffer {
  const bytes = GenerateRequest.encode(request).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function deserialize(bytes: Buffer): GenerateResponse {
  return GenerateResponse.decode(bytes);
}

/** Rebuilds what the peer threw from the error of a grpc-js call. */
function meshErrorOf(error: Error): Error {
  if (!isServiceError(error)) return error;
  const [encoded] = error.metadata.get(DETAILS_TRAILER);
  const trailer = Buffer.isBuffer(encoded) ? Metadata().set(DETAILS_TRAILER, encoded) : undefined;
  return meshErrorFromStatus(new ClientError(PATH, error.code, error.details), trailer);
}

function isServiceError(error: Error): error is ServiceError {
  return 'metadata' in error && error.metadata instanceof GrpcMetadata;
}
