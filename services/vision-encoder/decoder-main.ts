import { parseArgument } from '#encoder/decoding/parse-argument.ts';
import { serveDecoder } from '#encoder/decoding/serve-decoder.ts';
import { openImage } from './open-image.ts';

const maxImagePixels = parseArgument('maxImagePixels');
serveDecoder((bytes) => openImage(bytes, { maxImagePixels }));
