import { type FLACDecodedAudio, FLACDecoder } from '@wasm-audio-decoders/flac';
import { MeshError } from '#mesh/errors.ts';
import type { Recording } from './recording.ts';
import { inSlices } from './slices.ts';

/** "fLaC", the head of the first metadata block and STREAMINFO, which must come first. */
const STREAMINFO_START = 8;
const STREAMINFO_BYTES = 34;

/** Decodes a FLAC file. */
export async function decodeFlac(
  bytes: Buffer,
  recording: Recording,
  signal: AbortSignal,
): Promise<void> {
  const numSamples = announcedSamples(bytes);
  const decoder = new FLACDecoder();
  await decoder.ready;
  try {
    for await (const slice of inSlices(bytes, signal)) {
      append(await decoder.decode(slice), recording);
    }
    append(await decoder.flush(), recording);
  } finally {
    decoder.free();
  }
  // The decoder passes over frames it cannot read.
  if (numSamples !== 0 && numSamples !== recording.numSamples) {
    throw damaged(`${numSamples} samples are announced, ${recording.numSamples} could be decoded`);
  }
}

/** Samples of each channel by STREAMINFO, 36 bits; 0 where the writer did not know. */
function announcedSamples(bytes: Buffer): number {
  if (bytes.length < STREAMINFO_START + STREAMINFO_BYTES) throw damaged('it has no STREAMINFO');
  const high = bytes.readUInt8(STREAMINFO_START + 13) & 0x0f;
  return high * 2 ** 32 + bytes.readUInt32BE(STREAMINFO_START + 14);
}

function append(audio: FLACDecodedAudio, recording: Recording): void {
  if (audio.errors[0] !== undefined) throw damaged(audio.errors[0].message);
  recording.append(audio.channelData, { sampleRateHz: audio.sampleRate });
}

function damaged(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the FLAC file is damaged: ${why}`);
}
