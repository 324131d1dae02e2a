import { MPEGDecoder } from 'mpg123-decoder';
import type { Turns } from '#mesh/async/turns.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Recording } from './recording.ts';

/**
 * Bytes decoded in one go. The smallest frames, 48 bytes, give 1152 samples of two channels each: no
 * more than 100,000 of a slice.
 */
const SLICE_BYTES = 4 * 1024;

/**
 * Decodes MPEG audio, layers 1 to 3. The format is a row of frames without a length: a file that is
 * cut short is a shorter recording.
 */
export async function decodeMp3(bytes: Buffer, recording: Recording, turns: Turns): Promise<void> {
  const decoder = new MPEGDecoder();
  await decoder.ready;
  // Not freed: its memory goes with it, whatever a damaged file has made of what is in there.
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    if (turns.isOver) await turns.next();
    const slice = bytes.subarray(at, at + SLICE_BYTES);
    const { channelData, sampleRate, errors } = decoder.decode(slice);
    if (errors[0] !== undefined) throw damaged(errors[0].message);
    recording.append(channelData, { sampleRateHz: sampleRate });
  }
}

function damaged(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the MP3 file is damaged: ${why}`);
}
