import type { SampleType } from '#speech/pcm.ts';

/** Form of a test file. */
export interface WavShape {
  readonly sampleType: SampleType;
  readonly sampleRateHz?: number;
  readonly isExtensible?: boolean;
  /** Size written into the data chunk's head in place of the true one. */
  readonly announcedBytes?: number;
}

const BITS = { uint8: 8, int16: 16, int24: 24, int32: 32, float32: 32, float64: 64 } as const;

/** Writes frames, `[num_frames][num_channels]`, -1 to 1, as a WAV file with a chunk before its data. */
export function wavFile(frames: readonly (readonly number[])[], shape: WavShape): Buffer {
  const bits = BITS[shape.sampleType];
  const numChannels = frames[0]?.length ?? 1;
  const rate = shape.sampleRateHz ?? 16_000;
  const code = shape.sampleType.startsWith('float') ? 3 : 1;
  const format = Buffer.alloc(shape.isExtensible === true ? 40 : 16);
  format.writeUInt16LE(shape.isExtensible === true ? 0xfffe : code, 0);
  format.writeUInt16LE(numChannels, 2);
  format.writeUInt32LE(rate, 4);
  format.writeUInt32LE((rate * numChannels * bits) / 8, 8);
  format.writeUInt16LE((numChannels * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  if (shape.isExtensible === true) format.writeUInt16LE(code, 24);
  const data = Buffer.concat(frames.flat().map((value) => sample(value, shape.sampleType)));
  const body = Buffer.concat([
    chunk('LIST', Buffer.from('odd')),
    chunk('fmt ', format),
    chunk('data', data, shape.announcedBytes),
  ]);
  return Buffer.concat([Buffer.from('RIFF'), uint32(body.length + 4), Buffer.from('WAVE'), body]);
}

function sample(value: number, type: SampleType): Buffer {
  const bytes = Buffer.alloc(BITS[type] / 8);
  if (type === 'uint8') bytes.writeUInt8(Math.round(value * 128) + 128);
  else if (type === 'float32') bytes.writeFloatLE(value);
  else if (type === 'float64') bytes.writeDoubleLE(value);
  else bytes.writeIntLE(Math.round(value * 2 ** (BITS[type] - 1)), 0, bytes.length);
  return bytes;
}

function chunk(id: string, body: Buffer, announcedBytes = body.length): Buffer {
  const padding = Buffer.alloc(body.length % 2);
  return Buffer.concat([Buffer.from(id), uint32(announcedBytes), body, padding]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
