import { MeshError } from '#mesh/errors.ts';

export interface JsonLimits {
  /**
   * Most values and field names in a body, on all levels together; an object or a list counts as
   * ten, since it costs as much to parse, hand over and check.
   */
  readonly maxValues: number;
  /** Most objects and lists nested in each other. */
  readonly maxDepth: number;
}

/** Values that an object or a list counts as. */
const CONTAINER_WEIGHT = 10;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const SEPARATOR = 0;
const OPENING = 1;
const CLOSING = 2;
const TEXT = 3;
/** Kind of a byte of a number, true, false or null, or of no JSON at all. */
const WORD = 4;

/** Kind of each byte outside of a text. */
const KINDS = new Uint8Array(256).fill(WORD);
for (const char of ' \t\r\n,:') KINDS[char.charCodeAt(0)] = SEPARATOR;
for (const char of '[{') KINDS[char.charCodeAt(0)] = OPENING;
for (const char of ']}') KINDS[char.charCodeAt(0)] = CLOSING;
KINDS[QUOTE] = TEXT;

/**
 * Counts the values and levels of a JSON body while it arrives, so that a body that is costly to
 * parse is refused before it is parsed, or even complete. Looks at each byte at most twice.
 * Malformed JSON is left for the parser to refuse.
 */
export class JsonBounds {
  readonly #limits: JsonLimits;
  #numValues = 0;
  /** Values so far, weighted. */
  #weight = 0;
  #depth = 0;
  #isInText = false;
  #isInWord = false;
  /** True if the next byte is the second of an escape; only within a text. */
  #isEscaped = false;

  constructor(limits: JsonLimits) {
    this.#limits = limits;
  }

  /** Number of values and field names so far. */
  get numValues(): number {
    return this.#numValues;
  }

  /** Takes the next bytes; throws INVALID_REQUEST at the first value or level over the limits. */
  push(bytes: Buffer): void {
    let i = 0;
    while (i < bytes.length) {
      i = this.#isInText ? this.#skipText(bytes, i) : this.#scan(bytes, i);
    }
  }

  /** Reads from `from` to the start of a text; returns the index after its opening quote. */
  #scan(bytes: Buffer, from: number): number {
    let isInWord = this.#isInWord;
    let i = from;
    while (i < bytes.length && !this.#isInText) {
      const kind = KINDS[bytes[i] ?? 0];
      i++;
      if (kind === TEXT || (kind === WORD && !isInWord)) this.#addValue(1);
      isInWord = kind === WORD;
      if (kind === TEXT) this.#isInText = true;
      else if (kind === OPENING) this.#descend();
      else if (kind === CLOSING) this.#depth--;
    }
    this.#isInWord = isInWord;
    return i;
  }

  /** Reads from `from`, within a text, to its end; returns the index after its closing quote. */
  #skipText(bytes: Buffer, from: number): number {
    let i = this.#isEscaped ? from + 1 : from;
    for (;;) {
      const quote = bytes.indexOf(QUOTE, i);
      const end = quote === -1 ? bytes.length : quote;
      this.#isEscaped = numBackslashes(bytes, { from: i, to: end }) % 2 === 1;
      if (quote === -1) return end;
      i = quote + 1;
      if (this.#isEscaped) continue;
      this.#isInText = false;
      return i;
    }
  }

  #addValue(weight: number): void {
    const { maxValues } = this.#limits;
    this.#numValues++;
    this.#weight += weight;
    if (this.#weight > maxValues) {
      throw refusal(
        `has more than ${maxValues} values and field names, of which an object or a list counts ` +
          `as ${CONTAINER_WEIGHT} (key "max-json-values")`,
      );
    }
  }

  #descend(): void {
    const { maxDepth } = this.#limits;
    this.#addValue(CONTAINER_WEIGHT);
    this.#depth++;
    if (this.#depth > maxDepth) {
      throw refusal(`is nested deeper than ${maxDepth} levels (key "max-json-depth")`);
    }
  }
}

/** Counts the backslashes at the end of a range of bytes. */
function numBackslashes(
  bytes: Buffer,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  let start = to;
  while (start > from && bytes[start - 1] === BACKSLASH) start--;
  return to - start;
}

function refusal(problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `the body ${problem}`);
}
