/** Bytes of a WAV file before its samples. */
const HEADER_BYTES = 44;
const BYTES_PER_SAMPLE = 2;

/** Writes one channel as a WAV file of 16-bit samples; `samples` are -1 to 1, others are clipped. */
export function wavFile(samples: Float32Array, sampleRate: number): Uint8Array<ArrayBuffer> {
  const numBytes = samples.length * BYTES_PER_SAMPLE;
  const bytes = new Uint8Array(HEADER_BYTES + numBytes);
  const view = new DataView(bytes.buffer);
  const text = (at: number, value: string) => {
    for (let i = 0; i < value.length; i++) view.setUint8(at + i, value.charCodeAt(i));
  };
  text(0, 'RIFF');
  view.setUint32(4, HEADER_BYTES - 8 + numBytes, true);
  text(8, 'WAVEfmt ');
  view.setUint32(16, 16, true); // length of this chunk
  view.setUint16(20, 1, true); // integers
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * BYTES_PER_SAMPLE, true);
  view.setUint16(32, BYTES_PER_SAMPLE, true);
  view.setUint16(34, BYTES_PER_SAMPLE * 8, true);
  text(36, 'data');
  view.setUint32(40, numBytes, true);
  samples.forEach((sample, i) => {
    // The scale by which decoders divide, so that 16-bit samples come out as they went in.
    const scaled = Math.round(sample * 0x8000);
    const clipped = Math.max(-0x8000, Math.min(0x7fff, scaled));
    view.setInt16(HEADER_BYTES + i * BYTES_PER_SAMPLE, clipped, true);
  });
  return bytes;
}
