import type { OpenedFile } from '#encoder/media-reader.ts';
import { Turns } from '#mesh/async/turns.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Recording } from './recording.ts';

/** A recording that is complete; one without a sample is refused. */
export function openedRecording(recording: Recording): OpenedFile {
  const { numSamples, sampleRateHz, durationMs } = recording;
  if (numSamples === 0) {
    throw new MeshError('UNSUPPORTED_MEDIA', 'the recording is empty: it has no samples');
  }
  return {
    facts: { kind: 'audio', numSamples, sampleRateHz },
    durationMs: Math.round(durationMs),
    load: async () => {
      const samples = await recording.take(new Turns());
      return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
    },
    close: () => {},
  };
}
