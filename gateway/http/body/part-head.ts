import { type HeaderValue, parseHeaderValue } from './header-value.ts';
import { malformed } from './multipart.ts';

/** Bounds names and types, because error messages repeat them. */
const MAX_NAME_CHARS = 100;

/** The header of a form's part (RFC 7578). */
export interface PartHead {
  /** Name of the field. */
  readonly name: string;
  readonly isFile: boolean;
  readonly declaredType: string;
  /** Character set of a text; UTF-8 if undefined. */
  readonly charset: string | undefined;
}

/** Reads the lines of a header; refuses a part that is not a field of a form. */
export function parsePartHead(lines: string): PartHead {
  const headers = headersOf(lines);
  const { value, params } = headers.get('content-disposition') ?? {};
  const name = params?.get('name');
  if (value !== 'form-data' || params === undefined || name === undefined) {
    throw malformed('a part has no header "Content-Disposition: form-data" with a name');
  }
  if (name.length > MAX_NAME_CHARS) {
    throw malformed(`the name of a field has ${name.length} characters, of ${MAX_NAME_CHARS}`);
  }
  const type = headers.get('content-type');
  const declaredType = type?.value.slice(0, MAX_NAME_CHARS) ?? 'text/plain';
  const isFile =
    params.has('filename') ||
    params.has('filename*') ||
    declaredType === 'application/octet-stream';
  return { name, isFile, declaredType, charset: type?.params.get('charset') };
}

/**
 * Returns headers by name in lower case; a line that begins with a blank continues the previous
 * one.
 */
function headersOf(lines: string): Map<string, HeaderValue> {
  const headers = new Map<string, HeaderValue>();
  for (const line of lines.replaceAll(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (name !== '' && !headers.has(name)) {
      headers.set(name, parseHeaderValue(line.slice(colon + 1)));
    }
  }
  return headers;
}
