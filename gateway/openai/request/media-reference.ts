import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { MediaModality } from '#mesh/modality.ts';

/** The source of a media item's bytes. */
export type MediaSource =
  | { readonly kind: 'base64'; readonly text: string }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'remote'; readonly url: URL }
  | { readonly kind: 'file'; readonly url: URL };

/** A media item as a request names it, before its bytes are loaded. */
export interface MediaReference {
  readonly modality: MediaModality;
  readonly source: MediaSource;
  /** Media type that the client declared, used in error messages only. */
  readonly declaredType: string | undefined;
  /** Path of the field at fault if the item is refused: "messages[0].content[1].image_url.url". */
  readonly param: string;
}

/** The media that a request names; the parts of its prompt refer to them by index. */
export interface RequestedMedia {
  readonly references: readonly MediaReference[];
  /** The request's own `mm_processor_kwargs`. */
  readonly processorKwargs: Readonly<Record<string, unknown>> | undefined;
}

/** Most characters of a URL other than a data URL. */
const MAX_URL_CHARS = 8192;

/** Most characters of "image/png;base64" in a data URL. */
const MAX_DATA_HEADER_CHARS = 256;

const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+$/;

/** One content part of a message; `at` is its path: "messages[0].content[1]". */
export interface PlacedPart {
  readonly part: Readonly<Record<string, unknown>>;
  readonly at: string;
}

/** Reads a media part; undefined if the part is of another type. */
export function mediaReference({ part, at }: PlacedPart): MediaReference | undefined {
  switch (part['type']) {
    case 'image_url':
      return urlReference(part['image_url'], { modality: 'image', at: `${at}.image_url` });
    case 'audio_url':
      return urlReference(part['audio_url'], { modality: 'audio', at: `${at}.audio_url` });
    case 'input_audio':
      return inlineAudio(part['input_audio'], `${at}.input_audio`);
    default:
      return undefined;
  }
}

interface UrlField {
  readonly modality: MediaModality;
  readonly at: string;
}

/**
 * Reads `{url, detail}`, or the URL alone as vLLM takes it. `detail` is checked and has no effect.
 */
function urlReference(value: unknown, { modality, at }: UrlField): MediaReference {
  if (typeof value === 'string') return { modality, param: at, ...urlSource(value, at) };
  if (!isRecord(value)) throw refusal(at, 'must be an object with a url');
  optionalText(value['detail'], `${at}.detail`);
  const param = `${at}.url`;
  const url = value['url'];
  if (typeof url !== 'string') throw refusal(param, 'must be a URL as text');
  return { modality, param, ...urlSource(url, param) };
}

/** Reads `{data, format}`: base64, or the data URL that some clients send. */
function inlineAudio(value: unknown, at: string): MediaReference {
  if (!isRecord(value)) throw refusal(at, 'must be an object with data and format');
  const declaredType = optionalText(value['format'], `${at}.format`);
  const param = `${at}.data`;
  const data = value['data'];
  if (typeof data !== 'string') throw refusal(param, 'must be base64 text');
  const inline = isDataUrl(data)
    ? dataUrl(data, param)
    : { source: { kind: 'base64', text: data } as const, declaredType: undefined };
  return { modality: 'audio', param, ...inline, declaredType: inline.declaredType ?? declaredType };
}

type Located = Pick<MediaReference, 'source' | 'declaredType'>;

function urlSource(text: string, param: string): Located {
  if (isDataUrl(text)) return dataUrl(text, param);
  if (text.length > MAX_URL_CHARS) {
    throw refusal(param, `has ${text.length} characters, a URL may have ${MAX_URL_CHARS}`);
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  switch (url?.protocol) {
    case 'http:':
    case 'https:':
      return { source: { kind: 'remote', url }, declaredType: undefined };
    case 'file:':
      return { source: { kind: 'file', url }, declaredType: undefined };
    default:
      throw refusal(param, 'must be a data:, http:// or https:// URL');
  }
}

function isDataUrl(text: string): boolean {
  return /^\s*data:/i.test(text.slice(0, MAX_DATA_HEADER_CHARS));
}

/** Reads `data:[<media type>][;<parameter>]*;base64,<data>` (RFC 2397); refuses other encodings. */
function dataUrl(text: string, param: string): Located {
  const head = text.slice(0, MAX_DATA_HEADER_CHARS);
  const comma = head.indexOf(',');
  const [type = '', ...parameters] = head.slice(head.indexOf(':') + 1, comma).split(';');
  if (comma === -1 || parameters.at(-1)?.trim().toLowerCase() !== 'base64') {
    throw refusal(param, 'must be a base64 data URL: data:<media type>;base64,<data>');
  }
  const declaredType = MEDIA_TYPE.test(type) ? type.toLowerCase() : undefined;
  return { source: { kind: 'base64', text: text.slice(comma + 1) }, declaredType };
}

function optionalText(value: unknown, param: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw refusal(param, 'must be text');
  return value.slice(0, MAX_DATA_HEADER_CHARS);
}

function refusal(param: string, problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${param} ${problem}`, { param });
}
