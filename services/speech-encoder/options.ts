import { type Static, Type } from 'typebox';
import { encoderOptionsWith } from '#mesh/encoder-options.ts';

/** Flags and configuration keys of the speech encoder. */
export const speechEncoderOptions = encoderOptionsWith({
  listen: Type.String({
    default: '127.0.0.1:8053',
    description:
      'Address of the internal gRPC server, host:port; port 0 picks a free one outside a mesh',
  }),
  maxAudioSeconds: Type.Number({
    exclusiveMinimum: 0,
    default: 900,
    description: 'Longest recording at up to 48 kHz, seconds; the model may allow less',
  }),
});

export type SpeechEncoderOptions = Static<typeof speechEncoderOptions>;
