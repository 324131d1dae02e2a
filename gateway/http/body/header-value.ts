/** The parts of a header such as `form-data; name="file"; filename="a.wav"`. */
export interface HeaderValue {
  /** The text before the parameters, in lower case. */
  readonly value: string;
  /** Parameters by name in lower case; if a name is given twice, the first counts. */
  readonly params: ReadonlyMap<string, string>;
}

const PARAM = /\s*;\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/y;

/**
 * Reads parameters up to the first malformed one. A backslash escapes only quotes and backslashes,
 * because paths contain it.
 */
export function parseHeaderValue(text: string): HeaderValue {
  const end = text.indexOf(';');
  const value = (end === -1 ? text : text.slice(0, end)).trim().toLowerCase();
  const params = new Map<string, string>();
  PARAM.lastIndex = end === -1 ? text.length : end;
  for (let match = PARAM.exec(text); match !== null; match = PARAM.exec(text)) {
    const [, name = '', quoted, plain = ''] = match;
    const key = name.toLowerCase();
    const param = quoted?.replaceAll(/\\(["\\])/g, '$1') ?? plain;
    if (!params.has(key)) params.set(key, param);
  }
  return { value, params };
}
