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
  return {
    date,
    time,
    'date-time': `${date}T${time}`,
    duration: 'P([0-9]{1,4}D(T[0-9]{1,4}H)?|T[0-9]{1,4}[HMS]|[0-9]{1,4}[YMW])',
    email: `[a-zA-Z0-9_+-]{1,30}(\\.[a-zA-Z0-9_+-]{1,30}){0,3}@${host}`,
    hostname: host,
    ipv4: `${byte}(\\.${byte}){3}`,
    ipv6: `${group}(:${group}){7}`,
    uri: `https?://${host}(/${path})?(\\?${path})?`,
    uuid: '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}',
  };
}
