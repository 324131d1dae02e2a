import { type Static, Type } from 'typebox';
import { encoderOptionsWith } from '#encoder/encoder-options.ts';
import { listenField } from '#mesh/model-options.ts';

/** Flags and configuration keys of the speech encoder. */
export const speechEncoderOptions = encoderOptionsWith({
  listen: listenField('127.0.0.1:8053'),
  maxAudioSeconds: Type.Number({
    exclusiveMinimum: 0,
    default: 900,
    description: 'Longest recording at up to 48 kHz, seconds; the model may allow less',
  }),
});

export type SpeechEncoderOptions = Static<typeof speechEncoderOptions>;
