import { decodeHuffman, HeaderError } from './huffman.ts';

/** Headers as HTTP/2 carries them: by their names in lower case, those of HTTP/2 itself included. */
export type Headers = ReadonlyMap<string, string>;

/** Names that each number stands for, with the value if it stands for one too (RFC 7541, appendix A). */
const STATIC_TABLE: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  ...['200', '204', '206', '304', '400', '404', '500'].map(
    (status) => [':status', status] as const,
  ),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...[
    ...['accept-language', 'accept-ranges', 'accept', 'access-control-allow-origin', 'age'],
    ...['allow', 'authorization', 'cache-control', 'content-disposition', 'content-encoding'],
    ...['content-language', 'content-length', 'content-location', 'content-range'],
    ...['content-type', 'cookie', 'date', 'etag', 'expect', 'expires', 'from', 'host', 'if-match'],
    ...['if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'last-modified'],
    ...['link', 'location', 'max-forwards', 'proxy-authenticate', 'proxy-authorization', 'range'],
    ...['referer', 'refresh', 'retry-after', 'server', 'set-cookie', 'strict-transport-security'],
    ...['transfer-encoding', 'user-agent', 'vary', 'via', 'www-authenticate'],
  ].map((name) => [name, ''] as const),
];

/** First bits of a field, which say what it is. */
const INDEXED = 0x80;
const ADDED = 0x40;
const TABLE_SIZE = 0x20;
/** First bit of a string that is in Huffman's code. */
const HUFFMAN = 0x80;

/** Bytes of the longest number that is read: those of 28 bits. */
const MAX_NUMBER_BYTES = 4;

/** Writes headers, each as a literal that neither side remembers. */
export function encodeHeaders(headers: Iterable<readonly [name: string, value: string]>): Buffer {
  const pieces: Buffer[] = [];
  for (const [name, value] of headers) {
    pieces.push(Buffer.of(0), ...stringOf(name), ...stringOf(value));
  }
  return Buffer.concat(pieces);
}

function stringOf(text: string): Buffer[] {
  const bytes = Buffer.from(text, 'latin1');
  return [Buffer.from(numberBytes(bytes.length)), bytes];
}

/** Returns a number as it stands behind one bit that is 0. */
function numberBytes(value: number): number[] {
  if (value < 0x7f) return [value];
  const bytes = [0x7f];
  let rest = value - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return bytes;
}

/**
 * Reads the headers of a block by a peer that was allowed no table of its own, so that a block says
 * everything and changes nothing. Throws HeaderError if it cannot be read.
 */
export function decodeHeaders(block: Uint8Array): Headers {
  const headers = new Map<string, string>();
  const reader = new BlockReader(block);
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if ((first & INDEXED) !== 0) {
      const [name, value] = entryOf(reader.number(0x7f));
      headers.set(name, value);
    } else if ((first & ADDED) === 0 && (first & TABLE_SIZE) !== 0) {
      if (reader.number(0x1f) !== 0) throw new HeaderError('a table that was not allowed');
    } else {
      const index = reader.number((first & ADDED) === 0 ? 0x0f : 0x3f);
      const name = index === 0 ? reader.string() : entryOf(index)[0];
      headers.set(name, reader.string());
    }
  }
  return headers;
}

function entryOf(index: number): readonly [name: string, value: string] {
  const entry = STATIC_TABLE[index - 1];
  if (entry === undefined) throw new HeaderError(`header ${index} of a table that was not allowed`);
  return entry;
}

class BlockReader {
  readonly #block: Uint8Array;
  #at = 0;

  constructor(block: Uint8Array) {
    this.#block = block;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#block.length;
  }

  peek(): number {
    const byte = this.#block[this.#at];
    if (byte === undefined) throw new HeaderError('a block ends within a header');
    return byte;
  }

  /** Reads a number that begins in the bits of `mask`. */
  number(mask: number): number {
    const first = this.#next() & mask;
    if (first < mask) return first;
    let value = mask;
    for (let i = 0; i < MAX_NUMBER_BYTES; i++) {
      const byte = this.#next();
      value += (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return value;
    }
    throw new HeaderError('a number is too large');
  }

  string(): string {
    const isHuffman = (this.peek() & HUFFMAN) !== 0;
    const length = this.number(0x7f);
    const end = this.#at + length;
    if (end > this.#block.length) throw new HeaderError('a block ends within a string');
    const bytes = this.#block.subarray(this.#at, end);
    this.#at = end;
    return isHuffman ? decodeHuffman(bytes) : Buffer.from(bytes).toString('latin1');
  }

  #next(): number {
    const byte = this.peek();
    this.#at += 1;
    return byte;
  }
}
