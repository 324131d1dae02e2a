import { randomBytes, timingSafeEqual } from 'node:crypto';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { limitSharing, type SharedSegment, shareBytes, sharedBytes } from '#native';
import { SharedMemory } from '#protos/autoglm/common/v1/shared_memory.ts';
import type { EncodeHeader } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { EncoderProcessOptions } from './encoder-options.ts';

/** Rows of fewer bytes travel in a message: to map them takes as long as to copy them. */
const MIN_SHARED_BYTES = 256 * 1024;

const SECRET_BYTES = 32;

/**
 * Offers rows in shared memory to callers that have shown that they can map it. A secret lies in a
 * segment of its own; who sends it back has read it there, so it runs on this host, sees this process
 * under the number that this process sees, and may open its files.
 */
export class RowSharing {
  /** Size from which a tower puts rows into shared memory. */
  readonly minBytes = MIN_SHARED_BYTES;
  readonly #secret = randomBytes(SECRET_BYTES);
  /** Kept, because its segment is freed with it. */
  readonly #offer = shareBytes(this.#secret);

  /** Bytes that this process shares. */
  get numBytes(): number {
    return sharedBytes();
  }

  /** Where the secret lies. */
  get secretMemory(): SharedMemory {
    return this.memoryOf(this.#offer.shared, SECRET_BYTES);
  }

  /** Tells whether the caller of an Encode call can map rows. */
  isReachedBy({ sharedMemorySecret: secret }: EncodeHeader): boolean {
    return secret.length === SECRET_BYTES && timingSafeEqual(secret, this.#secret);
  }

  memoryOf({ descriptor, token }: SharedSegment, numBytes: number): SharedMemory {
    return SharedMemory.create({
      processId: process.pid,
      fileDescriptor: descriptor,
      sizeBytes: BigInt(numBytes),
      token,
    });
  }
}

/** Begins to share rows; undefined if that is turned off or the system does not let it. */
export function openRowSharing(
  { sharedMemory, sharedMemoryMb }: EncoderProcessOptions,
  log: Log,
): RowSharing | undefined {
  if (sharedMemory === 'off') return undefined;
  limitSharing(bytesOfMb(sharedMemoryMb) + SECRET_BYTES);
  try {
    return new RowSharing();
  } catch (error: unknown) {
    log.warn(`rows travel in messages, not in shared memory: ${errorMessage(error)}`);
    return undefined;
  }
}
