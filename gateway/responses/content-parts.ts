import { refusal } from '#gateway/openai/request/refusal.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { Placed } from './chat-turn.ts';

type Json = Readonly<Record<string, unknown>>;

/** Parts that this server reads, for refusals. */
const KNOWN_PARTS = 'input_text, input_image, input_audio, output_text, refusal';
/** Parts of media that are not supported. */
const FOREIGN_PARTS: ReadonlySet<unknown> = new Set(['input_file', 'input_video']);

/** Writes a content, a text or a list of parts, as the parts of a chat message. */
export function contentParts(content: unknown, at: string): Placed[] {
  if (typeof content === 'string') return [{ part: { type: 'text', text: content }, at }];
  if (!Array.isArray(content)) throw refusal(at, 'a text or a list of parts', content);
  return content.map((part: unknown, i) => contentPart(part, `${at}[${i}]`));
}

function contentPart(part: unknown, at: string): Placed {
  if (!isRecord(part)) throw refusal(at, 'an object with a type', part);
  const { type } = part;
  switch (type) {
    case 'input_text':
    case 'output_text':
      return { part: { type: 'text', text: part['text'] }, at };
    case 'refusal':
      return { part: { type, refusal: part['refusal'] }, at };
    case 'input_image':
      return imagePart(part, at);
    case 'input_audio':
      return { part: { type, input_audio: part['input_audio'] }, at };
    default:
      throw foreignPart(type, at);
  }
}

function imagePart({ image_url: url }: Json, at: string): Placed {
  const media = `${at}.image_url`;
  if (typeof url !== 'string') throw refusal(media, 'a URL as text', url);
  return { part: { type: 'image_url', image_url: { url } }, at, media };
}

function foreignPart(type: unknown, at: string): MeshError {
  if (!FOREIGN_PARTS.has(type)) return refusal(`${at}.type`, `one of ${KNOWN_PARTS}`, type);
  const message = `${at}: ${String(type)} parts are not accepted by this server, only ${KNOWN_PARTS}`;
  return new MeshError('UNSUPPORTED_MEDIA', message, { param: at });
}
