import { parseArgument } from '#encoder/decoding/parse-argument.ts';
import { serveDecoder } from '#encoder/decoding/serve-decoder.ts';
import { openAudio } from './open-audio.ts';

const maxAudioSeconds = parseArgument('maxAudioSeconds');
serveDecoder((bytes) => openAudio(bytes, { maxAudioSeconds }));
