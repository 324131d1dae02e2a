import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';

/** A part of a message, as OpenAI writes it. */
export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
  | {
      readonly type: 'input_audio';
      readonly input_audio: { readonly data: string; readonly format: string };
    };

/** First bytes of the image formats by their media type; a `.` stands for any byte. */
const IMAGES = [
  { type: 'image/png', start: /^\x89PNG\r\n/s },
  { type: 'image/jpeg', start: /^\xff\xd8\xff/s },
  { type: 'image/gif', start: /^GIF8/s },
  { type: 'image/webp', start: /^RIFF....WEBP/s },
] as const;

/** Recordings by the ending of their names; the speech encoder looks at the bytes itself. */
const AUDIO_FORMATS: ReadonlyMap<string, string> = new Map([
  ['.wav', 'wav'],
  ['.mp3', 'mp3'],
  ['.flac', 'flac'],
  ['.ogg', 'ogg'],
  ['.oga', 'ogg'],
  ['.opus', 'opus'],
  ['.webm', 'webm'],
]);

/** Reads a picture as the part of a message. */
export async function imagePart(path: string): Promise<ContentPart> {
  const bytes = await readMedia(path);
  const start = bytes.subarray(0, 16).toString('latin1');
  const type = IMAGES.find((one) => one.start.test(start))?.type;
  if (type === undefined) throw notMedia(path, 'is no PNG, JPEG, GIF or WebP picture');
  return {
    type: 'image_url',
    image_url: { url: `data:${type};base64,${bytes.toString('base64')}` },
  };
}

/** Reads a recording as the part of a message. */
export async function audioPart(path: string): Promise<ContentPart> {
  const format = AUDIO_FORMATS.get(extname(path).toLowerCase());
  if (format === undefined) {
    throw notMedia(path, `must end in ${[...AUDIO_FORMATS.keys()].join(', ')}`);
  }
  const bytes = await readMedia(path);
  return { type: 'input_audio', input_audio: { data: bytes.toString('base64'), format } };
}

async function readMedia(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause: unknown) {
    throw new MeshError('INVALID_REQUEST', errorMessage(cause));
  }
}

function notMedia(path: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${basename(path)} ${why}`);
}
