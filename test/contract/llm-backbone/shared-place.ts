import type { TestContext } from 'node:test';
import { limitSharing, shareBytes } from '#native';
import { SharedMemory } from '#protos/autoglm/common/v1/shared_memory.ts';

/** Shares bytes and returns where they are; they stay until the test has ended. */
export function sharedPlace(test: TestContext, bytes: Uint8Array): SharedMemory {
  limitSharing(1e6);
  const offer = shareBytes(bytes);
  test.after(() => offer.bytes);
  const { descriptor, token } = offer.shared;
  return SharedMemory.create({
    processId: process.pid,
    fileDescriptor: descriptor,
    sizeBytes: BigInt(bytes.length),
    token,
  });
}
