import type { Turns } from '#mesh/async/turns.ts';
import { MeshError } from '#mesh/errors.ts';

export interface RecordingLimits {
  /** Longest recording, seconds. */
  readonly maxAudioSeconds: number;
}

export interface SampleFormat {
  readonly sampleRateHz: number;
}

/** A recording of sound has a sample rate between these, Hz. */
const MIN_SAMPLE_RATE_HZ = 4000;
const MAX_SAMPLE_RATE_HZ = 192_000;

/**
 * At higher rates a recording has no more samples than at this one: 900 seconds at 192 kHz, which
 * 40 kB of FLAC can hold, would take 1.4 GB.
 */
const FULL_LENGTH_RATE_HZ = 48_000;

/** Samples per part of a recording: adding a few samples allocates no array of its own. */
const PART_SAMPLES = 64 * 1024;

/** Mono samples, -1 to 1, that grow as a file is decoded, within limits. */
export class Recording {
  readonly #limits: RecordingLimits;
  /** `[ceil(numSamples / PART_SAMPLES)][PART_SAMPLES]`. */
  readonly #parts: Float32Array[] = [];
  #numSamples = 0;
  #sampleRateHz = 0;

  constructor(limits: RecordingLimits) {
    this.#limits = limits;
  }

  get numSamples(): number {
    return this.#numSamples;
  }

  get sampleRateHz(): number {
    return this.#sampleRateHz;
  }

  get durationMs(): number {
    return this.#sampleRateHz === 0 ? 0 : (this.#numSamples / this.#sampleRateHz) * 1000;
  }

  /** Refuses that many more samples if they are too many, before anything is spent on them. */
  admit(numSamples: number, format: SampleFormat): void {
    this.#setRate(format.sampleRateHz);
    const { maxAudioSeconds } = this.#limits;
    const countedHz = Math.min(this.#sampleRateHz, FULL_LENGTH_RATE_HZ);
    if (this.#numSamples + numSamples <= maxAudioSeconds * countedHz) return;
    const message =
      countedHz === this.#sampleRateHz
        ? `the recording is longer than ${maxAudioSeconds} seconds, the most that is allowed`
        : `the recording has more samples than ${maxAudioSeconds} seconds at ${countedHz} Hz, the most that are allowed; send it at a lower rate`;
    throw new MeshError('PAYLOAD_TOO_LARGE', message);
  }

  /** Adds the next samples of every channel, `[num_channels][num_samples]`; channels are averaged. */
  append(channels: readonly Float32Array[], format: SampleFormat): void {
    const [first] = channels;
    if (first === undefined || first.length === 0) return;
    this.admit(first.length, format);
    for (let start = 0; start < first.length; ) {
      const room = this.#room();
      const end = Math.min(start + room.length, first.length);
      average(channels, { start, end }, room);
      this.#numSamples += end - start;
      start = end;
    }
  }

  /** Forgets samples at the end, such as a codec's padding. */
  trimTo(numSamples: number): void {
    this.#numSamples = Math.min(this.#numSamples, Math.max(0, numSamples));
    this.#parts.length = Math.ceil(this.#numSamples / PART_SAMPLES);
  }

  /** All samples, `[num_samples]`, in one piece; the recording is empty after it. */
  async take(turns: Turns): Promise<Float32Array> {
    const samples = new Float32Array(this.#numSamples);
    this.#numSamples = 0;
    for (let at = 0; at < samples.length; at += PART_SAMPLES) {
      if (turns.isOver) await turns.next();
      const part = this.#parts.shift();
      if (part !== undefined) samples.set(part.subarray(0, samples.length - at), at);
    }
    return samples;
  }

  /** What is left of the last part, never nothing. */
  #room(): Float32Array {
    const used = this.#numSamples % PART_SAMPLES;
    if (used === 0) this.#parts.push(new Float32Array(PART_SAMPLES));
    const part = this.#parts.at(-1);
    return part?.subarray(used) ?? new Float32Array(0);
  }

  #setRate(sampleRateHz: number): void {
    const isSound = sampleRateHz >= MIN_SAMPLE_RATE_HZ && sampleRateHz <= MAX_SAMPLE_RATE_HZ;
    if (!isSound) {
      const message = `sample rate ${sampleRateHz} Hz; ${MIN_SAMPLE_RATE_HZ} to ${MAX_SAMPLE_RATE_HZ} Hz are allowed`;
      throw new MeshError('UNSUPPORTED_MEDIA', message);
    }
    if (this.#sampleRateHz !== 0 && this.#sampleRateHz !== sampleRateHz) {
      const message = `the sample rate changes from ${this.#sampleRateHz} to ${sampleRateHz} Hz within the recording`;
      throw new MeshError('UNSUPPORTED_MEDIA', message);
    }
    this.#sampleRateHz = sampleRateHz;
  }
}

/** Writes the average of a stretch of every channel to the start of `mono`. */
function average(
  channels: readonly Float32Array[],
  { start, end }: { readonly start: number; readonly end: number },
  mono: Float32Array,
): void {
  const [first] = channels;
  if (channels.length === 1 && first !== undefined) {
    mono.set(first.subarray(start, end));
    return;
  }
  const sums = new Float64Array(end - start);
  for (const channel of channels) {
    for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] ?? 0) + (channel[start + i] ?? 0);
  }
  for (let i = 0; i < sums.length; i++) mono[i] = (sums[i] ?? 0) / channels.length;
}
