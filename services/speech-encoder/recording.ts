import { MeshError } from '#mesh/errors.ts';

export interface RecordingLimits {
  /** Longest recording, seconds. */
  readonly maxAudioSeconds: number;
}

/** Rates outside these are no recording of sound, Hz. */
const MIN_SAMPLE_RATE_HZ = 4000;
const MAX_SAMPLE_RATE_HZ = 192_000;

/** Mono samples, -1 to 1, that grow as a file is decoded, within limits. */
export class Recording {
  readonly #limits: RecordingLimits;
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

  /** Adds the next samples of every channel, `[num_channels][num_samples]`; channels are averaged. */
  append(channels: readonly Float32Array[], format: { readonly sampleRateHz: number }): void {
    const mono = averaged(channels);
    if (mono.length === 0) return;
    this.#setRate(format.sampleRateHz);
    this.#numSamples += mono.length;
    const { maxAudioSeconds } = this.#limits;
    if (this.#numSamples > maxAudioSeconds * this.#sampleRateHz) {
      const message = `the recording is longer than ${maxAudioSeconds} seconds, the most that is allowed`;
      throw new MeshError('PAYLOAD_TOO_LARGE', message);
    }
    this.#parts.push(mono);
  }

  /** Forgets samples at the end, such as a codec's padding. */
  trimTo(numSamples: number): void {
    while (this.#numSamples > numSamples) {
      const last = this.#parts.pop();
      if (last === undefined) return;
      const kept = Math.max(0, last.length - (this.#numSamples - numSamples));
      this.#numSamples -= last.length - kept;
      if (kept > 0) this.#parts.push(last.subarray(0, kept));
    }
  }

  /** All samples, `[num_samples]`, in one piece; the recording is empty after it. */
  take(): Float32Array {
    const samples = new Float32Array(this.#numSamples);
    let at = 0;
    for (const part of this.#parts.splice(0)) {
      samples.set(part, at);
      at += part.length;
    }
    this.#numSamples = 0;
    return samples;
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

function averaged(channels: readonly Float32Array[]): Float32Array {
  const [first, second] = channels;
  if (first === undefined) return new Float32Array(0);
  if (second === undefined) return first;
  const mono = new Float32Array(first.length);
  for (let i = 0; i < mono.length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i] ?? 0;
    mono[i] = sum / channels.length;
  }
  return mono;
}
