import type { EncoderRole } from '#encoder/served-tower.ts';
import { DEFAULT_IMAGE_PREPROCESSING } from '#mesh/encode/preprocess-options.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { imageFormat } from './image-format.ts';
import type { VisionEncoderOptions } from './options.ts';

/** Side of the picture that proves the tower works, pixels. */
const WARM_UP_SIDE_PX = 56;
const WARM_UP_IMAGE = { kind: 'image', width: WARM_UP_SIDE_PX, height: WARM_UP_SIDE_PX } as const;

/** What makes an encoder process the vision encoder. */
export function visionRole(options: VisionEncoderOptions): EncoderRole {
  return {
    role: 'vision-encoder',
    modality: 'image',
    format: imageFormat,
    decoder: {
      main: import.meta.resolve('#vision/decoder-main.ts'),
      options: { maxImagePixels: options.maxImagePixels },
      // From this size on libvips decodes into a file in /tmp, which may be full or read-only.
      environment: { VIPS_DISC_THRESHOLD: String(bytesOfMb(options.decodeMemoryMb)) },
      what: 'image',
    },
    warmUp: {
      facts: { ...WARM_UP_IMAGE, options: DEFAULT_IMAGE_PREPROCESSING },
      decoded: { ...WARM_UP_IMAGE, rgb: new Uint8Array(WARM_UP_SIDE_PX * WARM_UP_SIDE_PX * 3) },
    },
  };
}
