import assert from 'node:assert/strict';

/** How samples are stored; all little-endian. */
export type SampleType = 'uint8' | 'int16' | 'int24' | 'int32' | 'float32' | 'float64';

export interface PcmFormat {
  readonly sampleType: SampleType;
  readonly numChannels: number;
  readonly sampleRateHz: number;
}

interface SampleReader {
  readonly bytes: number;
  read(view: DataView, at: number): number;
}

/** Integers are divided by half their range, as speech front ends do: int16 by 32768. */
const READERS: Readonly<Record<SampleType, SampleReader>> = {
  uint8: { bytes: 1, read: (view, at) => (view.getUint8(at) - 128) / 128 },
  int16: { bytes: 2, read: (view, at) => view.getInt16(at, true) / 2 ** 15 },
  int24: {
    bytes: 3,
    read: (view, at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 2 ** 23,
  },
  int32: { bytes: 4, read: (view, at) => view.getInt32(at, true) / 2 ** 31 },
  float32: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  float64: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

/** Bytes of one sample of every channel. */
export function frameBytes(format: PcmFormat): number {
  return READERS[format.sampleType].bytes * format.numChannels;
}

/** Reads interleaved frames into channels, `[num_channels][num_frames]`. */
export function readPcm(bytes: Uint8Array, format: PcmFormat): Float32Array[] {
  const { bytes: sampleBytes, read } = READERS[format.sampleType];
  const stride = frameBytes(format);
  assert(bytes.length % stride === 0, 'only whole frames are read');
  const numFrames = bytes.length / stride;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: format.numChannels }, (_, channel) => {
    const samples = new Float32Array(numFrames);
    const offset = channel * sampleBytes;
    for (let i = 0; i < numFrames; i++) samples[i] = read(view, i * stride + offset);
    return samples;
  });
}
