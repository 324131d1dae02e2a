import { setImmediate } from 'node:timers/promises';

/** Bytes decoded in one go: a few milliseconds of work on the event loop. */
const SLICE_BYTES = 64 * 1024;

/** Cuts a file into slices, with a turn of the event loop between them and an end on abort. */
export async function* inSlices(
  bytes: Uint8Array,
  signal: AbortSignal,
  sliceBytes = SLICE_BYTES,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    if (at > 0) await setImmediate(undefined, { signal });
    yield bytes.subarray(at, at + sliceBytes);
  }
}
