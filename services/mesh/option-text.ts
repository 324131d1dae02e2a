/** What a schema says about one option. */
export interface OptionFacts {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  /** The value must not appear in a process list: it travels by an environment variable. */
  readonly secret?: boolean;
  /**
   * `address`: host:port, or a list of them; `address or off`: that, or the word; `registry`: see
   * `registry-url.ts`.
   */
  readonly meaning?: 'address' | 'address or off' | 'registry';
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly { readonly const?: unknown; readonly type?: string }[];
}

const INTEGER = /^-?\d+$/;
const DECIMAL = /^-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;

const FLAG_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['on', true],
  ['yes', true],
  ['1', true],
  ['false', false],
  ['off', false],
  ['no', false],
  ['0', false],
]);

/**
 * Reads a text of a flag, a variable or a configuration file as the option's kind of value. What is
 * no such value stays as it is, for the schema to refuse: `3.5`, `1e3` and `0x10` are no integers.
 */
export function readText(option: OptionFacts, value: unknown): unknown {
  if (option.type === 'array') return Array.isArray(value) ? value : [value];
  if (typeof value !== 'string') return value;
  switch (option.type) {
    case 'integer':
      return INTEGER.test(value) ? Number(value) : value;
    case 'number':
      return DECIMAL.test(value) ? Number(value) : value;
    case 'boolean':
      return FLAG_WORDS.get(value.toLowerCase()) ?? value;
    default:
      return value;
  }
}

const ADDRESS = /^(?:\[[0-9a-f:.%]+\]|[^\s:/[\]]+):(\d{1,5})$/i;

/** Tells whether a text is `host:port`, with an IPv6 host in brackets. */
export function isAddress(text: string): boolean {
  const port = ADDRESS.exec(text)?.[1];
  return port !== undefined && Number(port) <= 65_535;
}
