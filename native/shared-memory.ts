import { addon } from './addon.ts';
import type { SharedPlace, SharedSegment } from './shared-memory-contract.ts';

/** Bounds what this process shares, bytes; nothing is shared before. */
export function limitSharing(maxBytes: number): void {
  addon().limitSharing(maxBytes);
}

/** Returns how many bytes this process shares. */
export function sharedBytes(): number {
  return addon().sharedBytes();
}

/**
 * Copies bytes into shared memory. Throws an `EngineError` if the limit is reached, or if the system
 * has no memory or no descriptor for it.
 */
export function shareBytes(bytes: Uint8Array): {
  readonly bytes: Uint8Array;
  readonly shared: SharedSegment;
} {
  return addon().shareBytes(bytes);
}

/**
 * Maps the memory of another process, which the array keeps. Throws an `EngineError` if the process
 * cannot be reached, or has no such segment of this user there. What is written to the array, that
 * process does not see.
 */
export function mapShared(place: SharedPlace): Uint8Array {
  return addon().mapShared(place);
}
