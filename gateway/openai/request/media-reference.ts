import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { MediaModality } from '#mesh/modality.ts';

/** The source of a media item's bytes. */
export type MediaSource =
  | { readonly kind: 'base64'; readonly text: string }
  /** Percent-encoded text of a data URL, of base64 or of the bytes themselves. */
  | { readonly kind: 'percent'; readonly text: string; readonly isBase64: boolean }
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

/** First characters of files in base64, each with the media type of such files. */
const BARE_BASE64 = [
  ['iVBORw0KGgo', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['R0lGOD', 'image/gif'],
  ['UklGR', 'image/webp'],
  ['SUQz', 'audio/mpeg'],
  ['T2dnUw', 'audio/ogg'],
  ['ZkxhQ', 'audio/flac'],
] as const;

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
  const bareType = bareBase64Type(text);
  if (bareType !== undefined) {
    throw refusal(
      param,
      `must be a data:, http:// or https:// URL, not base64 alone; send ${bareType}`,
    );
  }
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

/**
 * Returns the beginning of the data URL that a text would be the data of; undefined unless the text
 * is base64 of a file by its first characters.
 */
function bareBase64Type(text: string): string | undefined {
  const head = text.slice(0, MAX_DATA_HEADER_CHARS).trimStart();
  if (!/^[\w+/-]{12,}[=\s]*/.test(head) || /[^\w+/=\s-]/.test(head)) return undefined;
  const known = BARE_BASE64.find(([start]) => head.startsWith(start));
  return known && `data:${known[1]};base64,${known[0]}…`;
}

/**
 * Reads `data:[<media type>][;<parameter>]*[;base64],<data>` (RFC 2397), whose data may be
 * percent-encoded. Without base64 it must be, for no media are all of characters that a URL has.
 */
function dataUrl(text: string, param: string): Located {
  const head = text.slice(0, MAX_DATA_HEADER_CHARS);
  const comma = head.indexOf(',');
  const [type = '', ...parameters] = head.slice(head.indexOf(':') + 1, comma).split(';');
  const isBase64 = parameters.at(-1)?.trim().toLowerCase() === 'base64';
  const data = text.slice(comma + 1);
  const isPercentEncoded = data.includes('%');
  if (comma === -1 || !(isBase64 || isPercentEncoded)) {
    throw refusal(param, 'must be a base64 data URL: data:<media type>;base64,<data>');
  }
  const declaredType = MEDIA_TYPE.test(type.trim()) ? type.trim().toLowerCase() : undefined;
  if (isPercentEncoded) return { source: { kind: 'percent', text: data, isBase64 }, declaredType };
  return { source: { kind: 'base64', text: data }, declaredType };
}

function optionalText(value: unknown, param: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'string') throw refusal(param, 'must be text');
  return value.slice(0, MAX_DATA_HEADER_CHARS);
}

function refusal(param: string, problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${param} ${problem}`, { param });
}
