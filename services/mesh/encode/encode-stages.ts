import { Stage } from '#protos/autoglm/common/v1/stage.ts';
import type { EncodeDone } from '#protos/autoglm/encoder/v1/encoder.ts';

/**
 * Lays the times of an Encode call out as its stages, one after the other and within its length in
 * milliseconds. The stages of an item that another call brought may have begun before this one.
 */
export function encodeStages(done: EncodeDone, role: string, lengthMs: number): Stage[] {
  const times = [
    ['upload', done.uploadUs],
    ['queue', done.queueUs],
    ['decode', done.decodeUs],
    ['preprocess', done.preprocessUs],
    ['tower', done.encodeUs],
    ['rows', done.rowsUs],
  ] as const;
  const stages: Stage[] = [];
  const endUs = BigInt(Math.max(0, Math.round(lengthMs * 1000)));
  let startUs = 0n;
  for (const [name, us] of times) {
    const durationUs = us < endUs - startUs ? us : endUs - startUs;
    if (durationUs > 0n) stages.push(Stage.fromPartial({ name, role, startUs, durationUs }));
    startUs += durationUs;
  }
  return stages;
}
