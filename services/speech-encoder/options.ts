import { type Static, Type } from 'typebox';
import { encoderOptionsWith } from '#encoder/encoder-options.ts';
import { listenField } from '#mesh/model-options.ts';

/** Flags and configuration keys of the speech encoder. */
export const speechEncoderOptions = encoderOptionsWith({
  listen: listenField('127.0.0.1:8053'),
  decodeTimeoutS: Type.Number({
    exclusiveMinimum: 0,
    maximum: 3600,
    default: 30,
    description: 'Most CPU time to decode one file, seconds; on a clock up to six times that',
  }),
  maxAudioSeconds: Type.Number({
    exclusiveMinimum: 0,
    maximum: 86_400,
    default: 900,
    description: 'Longest recording at up to 48 kHz, seconds; the model may allow less',
  }),
});

export type SpeechEncoderOptions = Static<typeof speechEncoderOptions>;
