import {
  type ClientDuplexStream,
  Metadata as GrpcMetadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { ClientError, Metadata } from 'nice-grpc-common';
import { DETAILS_TRAILER, meshErrorFromStatus } from '#mesh/grpc/error-status.ts';
import {
  type GenerateRequest,
  type GenerateResponse,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

const { fullName, methods } = LlmBackboneServiceDefinition;
export const GENERATE_PATH = `/${fullName}/${methods.generate.name}`;

export type GenerateStream = ClientDuplexStream<GenerateRequest, GenerateResponse>;

/**
 * The responses of one Generate call. Written by hand, not as a generator: every token of every
 * request passes here, and each generator on its way costs as much as all other work for it.
 */
export class GenerateResponses implements AsyncIterator<GenerateResponse, undefined> {
  readonly #call: GenerateStream;
  readonly #signal: AbortSignal;
  readonly #cancel = () => this.#call.cancel();
  #wake = () => {};
  #failure: unknown;
  #isOver = false;

  /** An early end of the iteration, or `signal`, cancels the call. */
  constructor(call: GenerateStream, signal: AbortSignal) {
    this.#call = call;
    this.#signal = signal;
    signal.addEventListener('abort', this.#cancel);
    call.on('readable', () => this.#wake());
    call.on('end', () => this.#end(undefined));
    call.on('error', (error) => this.#end(meshErrorOf(error)));
  }

  async next(): Promise<IteratorResult<GenerateResponse, undefined>> {
    for (;;) {
      const response: GenerateResponse | null = this.#call.read();
      if (response !== null) return { done: false, value: response };
      if (this.#isOver) break;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#signal.removeEventListener('abort', this.#cancel);
    if (this.#failure !== undefined) throw this.#failure;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<GenerateResponse, undefined>> {
    this.#signal.removeEventListener('abort', this.#cancel);
    if (!this.#isOver) this.#call.cancel();
    return { done: true, value: undefined };
  }

  #end(failure: unknown): void {
    this.#failure ??= failure;
    this.#isOver = true;
    this.#wake();
  }
}

/** Rebuilds the MeshError that the peer threw from the error of a grpc-js call. */
function meshErrorOf(error: Error): Error {
  if (!isServiceError(error)) return error;
  const [encoded] = error.metadata.get(DETAILS_TRAILER);
  const trailer = Buffer.isBuffer(encoded) ? Metadata().set(DETAILS_TRAILER, encoded) : undefined;
  return meshErrorFromStatus(new ClientError(GENERATE_PATH, error.code, error.details), trailer);
}

function isServiceError(error: Error): error is ServiceError {
  return 'metadata' in error && error.metadata instanceof GrpcMetadata;
}
