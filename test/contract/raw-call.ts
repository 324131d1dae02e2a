import assert from 'node:assert/strict';
import { Client, credentials, type Metadata, type StatusObject, status } from '@grpc/grpc-js';
import { docOf, ERRORS, isErrorReason, MeshError } from '#mesh/errors.ts';
import { DETAILS_TRAILER } from '#mesh/grpc/error-status.ts';
import { ErrorInfo, Status } from '#protos/google/rpc/status.ts';

/** Longest time of a call, milliseconds. */
const LIMIT_MS = 10_000;

/** Reasons that a damaged message may be refused for; others tell of a fault of ours. */
const REFUSALS = [
  'INVALID_REQUEST',
  'CONTEXT_LENGTH_EXCEEDED',
  'UNSUPPORTED_MEDIA',
  'PAYLOAD_TOO_LARGE',
  'MODEL_NOT_FOUND',
  'NO_READY_ENDPOINT',
];

/** Makes calls whose messages are bytes as they stand. */
export class RawCaller {
  readonly #client: Client;

  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure());
  }

  close(): void {
    this.#client.close();
  }

  /**
   * Sends messages and ends the stream. Returns true if the answer is whole, false if it is a
   * refusal in our words; asserts that nothing else happens.
   */
  async isAnswered(path: string, messages: readonly Buffer[]): Promise<boolean> {
    return (await this.refusalOf(path, messages)) === undefined;
  }

  /** Sends messages and ends the stream; returns the refusal that is the answer, if it is one. */
  async refusalOf(path: string, messages: readonly Buffer[]): Promise<MeshError | undefined> {
    const { code, details, metadata } = await this.#call(path, messages);
    if (code === status.OK) return undefined;
    const info = errorInfoOf(metadata);
    assert(info !== undefined, `${status[code]}: ${details}`);
    const { reason } = info;
    assert(REFUSALS.includes(reason) && isErrorReason(reason), `${reason}: ${details}`);
    assert.equal(code, ERRORS[reason].status);
    assert.equal(info.metadata['doc'], docOf(reason));
    assert.doesNotMatch(details, /undefined|\[object/);
    return new MeshError(reason, details);
  }

  #call(path: string, messages: readonly Buffer[]): Promise<StatusObject> {
    const asIs = (bytes: Buffer) => bytes;
    const options = { deadline: Date.now() + LIMIT_MS };
    const call = this.#client.makeBidiStreamRequest(path, asIs, asIs, options);
    return new Promise((resolve) => {
      call.on('status', resolve);
      // The status says the same.
      call.on('error', () => {});
      call.resume();
      for (const message of messages) call.write(message);
      call.end();
    });
  }
}

function errorInfoOf(trailer: Metadata): ErrorInfo | undefined {
  const [encoded] = trailer.get(DETAILS_TRAILER);
  if (!Buffer.isBuffer(encoded)) return undefined;
  const info = Status.decode(encoded).details.find(({ typeUrl }) => typeUrl.endsWith('ErrorInfo'));
  return info && ErrorInfo.decode(info.value);
}
