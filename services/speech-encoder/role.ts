import type { EncoderRole } from '#encoder/served-tower.ts';
import { createAudioFormat } from './audio-format.ts';
import type { SpeechEncoderOptions } from './options.ts';

/** Length and rate of the silence that proves the tower works: half a second. */
const WARM_UP_SAMPLES = 8000;
const WARM_UP_RECORDING = { kind: 'audio', sampleRateHz: 16_000 } as const;

/** What makes an encoder process the speech encoder. */
export function speechRole(options: SpeechEncoderOptions): EncoderRole {
  return {
    role: 'speech-encoder',
    modality: 'audio',
    format: createAudioFormat(options),
    decoder: {
      main: import.meta.resolve('#speech/decoder-main.ts'),
      options: { maxAudioSeconds: options.maxAudioSeconds },
      what: 'recording',
    },
    warmUp: {
      facts: { ...WARM_UP_RECORDING, numSamples: WARM_UP_SAMPLES },
      decoded: { ...WARM_UP_RECORDING, samples: new Float32Array(WARM_UP_SAMPLES) },
    },
  };
}
