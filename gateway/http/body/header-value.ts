/** A header such as `form-data; name="file"; filename="a.wav"`, taken apart. */
export interface HeaderValue {
  /** What stands before the parameters, in lower case. */
  readonly value: string;
  /** By name in lower case; of a name given twice, the first. */
  readonly params: ReadonlyMap<string, string>;
}

const PARAM = /\s*;\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/y;

/** Reads parameters up to the first that is none. A backslash escapes only what needs it: paths have them. */
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
