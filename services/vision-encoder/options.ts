import { type Static, Type } from 'typebox';
import { encoderOptionsWith } from '#encoder/encoder-options.ts';

/** Flags and configuration keys of the vision encoder. */
export const visionEncoderOptions = encoderOptionsWith({
  maxImagePixels: Type.Integer({
    minimum: 1,
    maximum: 1_000_000_000,
    default: 50_000_000,
    description: 'Most pixels of an image file, width times height',
  }),
});

export type VisionEncoderOptions = Static<typeof visionEncoderOptions>;
