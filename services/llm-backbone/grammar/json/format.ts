/** Formats that limit no text, only say what it is for. */
export const HINTS: ReadonlySet<string> = new Set(['binary', 'password', 'path']);

/** Formats of texts that are enforced, as the expressions that their texts match. */
export const FORMATS: Readonly<Record<string, string>> = formats();

function formats(): Record<string, string> {
  // Days that every month has: the length of a month depends on the year.
  const date = '[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])';
  const time =
    '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])';
  const byte = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';
  const label = '[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?';
  const host = `${label}(\\.${label}){1,4}`;
  const group = '[0-9a-fA-F]{1,4}';
  const path = "[a-zA-Z0-9._~!$&'()*+,;=:@/-]{0,200}";
  const uri = `https?://${host}(/${path})?(\\?${path})?`;
  const email = `[a-zA-Z0-9_+-]{1,30}(\\.[a-zA-Z0-9_+-]{1,30}){0,3}@${host}`;
  const pointer = '(/[a-zA-Z0-9._-]{0,30}){0,8}';
  const uuid = (version: string) =>
    `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-${version}[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}`;
  return {
    date,
    time,
    'date-time': `${date}T${time}`,
    duration: 'P([0-9]{1,4}D(T[0-9]{1,4}H)?|T[0-9]{1,4}[HMS]|[0-9]{1,4}[YMW])',
    email,
    hostname: host,
    ipv4: `${byte}(\\.${byte}){3}`,
    ipv6: `${group}(:${group}){7}`,
    uri,
    uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
    uuid1: uuid('1'),
    uuid3: uuid('3'),
    uuid4: uuid('4'),
    uuid5: uuid('5'),
    // Texts of ASCII are some of those that these formats take.
    'idn-email': email,
    'idn-hostname': host,
    iri: uri,
    'uri-reference': `${uri}|/${path}`,
    'iri-reference': `${uri}|/${path}`,
    'uri-template': uri,
    'json-pointer': pointer,
    'relative-json-pointer': `(0|[1-9][0-9]?)${pointer}`,
    base64: '([a-zA-Z0-9+/]{4}){0,128}',
    base64url: '([a-zA-Z0-9_-]{4}){0,128}',
    byte: '([a-zA-Z0-9+/]{4}){0,128}',
  };
}
