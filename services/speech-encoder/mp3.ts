import { MPEGDecoder } from 'mpg123-decoder';
import { MeshError } from '#mesh/errors.ts';
import type { Recording } from './recording.ts';
import { inSlices } from './slices.ts';

/**
 * Decodes MPEG audio, layers 1 to 3. The format is a row of frames without a length: a file that is
 * cut short is a shorter recording.
 */
export async function decodeMp3(
  bytes: Buffer,
  recording: Recording,
  signal: AbortSignal,
): Promise<void> {
  const decoder = new MPEGDecoder();
  await decoder.ready;
  try {
    for await (const slice of inSlices(bytes, signal)) {
      const { channelData, sampleRate, errors } = decoder.decode(slice);
      if (errors[0] !== undefined) throw damaged(errors[0].message);
      recording.append(channelData, { sampleRateHz: sampleRate });
    }
  } finally {
    decoder.free();
  }
}

function damaged(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the MP3 file is damaged: ${why}`);
}
