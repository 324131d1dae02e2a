import sharp from 'sharp';
import type { Body } from './chat-request.ts';
import { imagePart } from './phone-cases.ts';

const SAMPLE_RATE_HZ = 16_000;
const RECORDING_S = 0.5;

let numMade = 0;

/** Makes a small picture that was never sent before, as a content part. */
export async function uniqueImage(): Promise<Body> {
  const [width, height] = [32, 64];
  const pixels = Buffer.alloc(width * height * 3, nextNumber());
  const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .withMetadata({ exif: { IFD0: { ImageDescription: String(numMade) } } })
    .toBuffer();
  return imagePart(png);
}

/** Makes half a second of sound that was never sent before, as a content part. */
export async function uniqueAudio(): Promise<Body> {
  const samples = new Int16Array(RECORDING_S * SAMPLE_RATE_HZ);
  const period = 40 + (nextNumber() % 200);
  for (let i = 0; i < samples.length; i++) samples[i] = i % period < period / 2 ? 3000 : -3000;
  samples[0] = numMade % 30_000;
  const data = wavFile(samples).toString('base64');
  return { type: 'input_audio', input_audio: { data, format: 'wav' } };
}

/** Makes a WAV file of 16-bit mono PCM. */
export function wavFile(samples: Int16Array): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20); // PCM
  header.writeUInt16LE(1, 22); // channels
  header.writeUInt32LE(SAMPLE_RATE_HZ, 24);
  header.writeUInt32LE(2 * SAMPLE_RATE_HZ, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}

function nextNumber(): number {
  numMade += 1;
  return numMade;
}
