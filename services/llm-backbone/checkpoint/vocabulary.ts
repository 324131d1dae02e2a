import { Type } from 'typebox';
import Value from 'typebox/value';
import { MeshError } from '#mesh/errors.ts';
import { readModelFile } from '#mesh/model/model-file.ts';
import { numIncompleteBytes } from './incomplete-bytes.ts';

const TokenizerFile = Type.Object({
  added_tokens: Type.Array(
    Type.Object({ id: Type.Integer(), content: Type.String(), special: Type.Boolean() }),
  ),
  model: Type.Object({ vocab: Type.Record(Type.String(), Type.Integer()) }),
  decoder: Type.Object({ type: Type.String() }),
});

/** A token such as `<|user|>` or `<think>`, which the tokenizer finds before it splits a text. */
export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** True if the token is left out of answers, as roles and placeholders are. */
  readonly special: boolean;
}

/** Most MB of tokenizer.json; that of GLM-4 has 20. */
const MAX_FILE_MB = 256;

const NO_BYTES = new Uint8Array(0);

/** The bytes of every token, and which tokens are special, read from `tokenizer.json`. */
export class Vocabulary {
  readonly addedTokens: readonly AddedToken[];
  readonly #bytes: Uint8Array[] = [];
  /** What `textOf` has returned. */
  readonly #texts = new Map<number, string | null>();
  readonly #specialIds = new Set<number>();
  readonly #addedIds = new Map<string, number>();

  /** Reads a byte-level BPE `tokenizer.json`; refuses any other kind. */
  static async load(path: string): Promise<Vocabulary> {
    const text = await readModelFile(path, MAX_FILE_MB);
    if (text === null) {
      throw new MeshError('INVALID_REQUEST', `${path}: not found; a model needs its tokenizer`, {
        param: 'model',
      });
    }
    const parsed: unknown = JSON.parse(text);
    if (!Value.Check(TokenizerFile, parsed)) {
      const problem = Value.Errors(TokenizerFile, parsed)[0];
      const where = `${problem?.instancePath ?? ''} ${problem?.message ?? ''}`;
      throw new MeshError('INVALID_REQUEST', `${path}: not a tokenizer.json: ${where}`);
    }
    if (parsed.decoder.type !== 'ByteLevel') {
      throw new MeshError(
        'INVALID_REQUEST',
        `${path}: decoder "${parsed.decoder.type}" is not supported, only "ByteLevel" is`,
      );
    }
    return new Vocabulary(parsed);
  }

  constructor(file: Type.Static<typeof TokenizerFile>) {
    this.addedTokens = file.added_tokens.filter(({ content }) => content !== '');
    for (const [token, id] of Object.entries(file.model.vocab)) {
      this.#bytes[id] = byteLevelBytes(token);
    }
    for (const { id, content, special } of file.added_tokens) {
      this.#bytes[id] = Buffer.from(content, 'utf8');
      this.#addedIds.set(content, id);
      if (special) this.#specialIds.add(id);
    }
  }

  /** The number above all ids. */
  get size(): number {
    return this.#bytes.length;
  }

  /** Bytes of the longest token; the text of n tokens has at most n times as many. */
  get longestTokenBytes(): number {
    return this.#bytes.reduce((longest, { length }) => Math.max(longest, length), 0);
  }

  /** Returns the bytes of a token, maybe a part of a character; none for an id without a token. */
  bytesOf(id: number): Uint8Array {
    return this.#bytes[id] ?? NO_BYTES;
  }

  /** Returns the text of a token; null if it ends in the middle of a character. */
  textOf(id: number): string | null {
    let text = this.#texts.get(id);
    if (text === undefined) {
      const bytes = this.bytesOf(id);
      text = numIncompleteBytes(bytes) > 0 ? null : Buffer.from(bytes).toString('utf8');
      this.#texts.set(id, text);
    }
    return text;
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** Returns the id of an added token such as `<think>`, if the tokenizer has it. */
  addedId(content: string): number | undefined {
    return this.#addedIds.get(content);
  }
}

/** The byte of each visible character that byte-level BPE writes for it, as in GPT-2. */
const BYTE_OF_CHARACTER = byteOfCharacter();

function byteOfCharacter(): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const isVisible =
      (byte >= 0x21 && byte <= 0x7e) ||
      (byte >= 0xa1 && byte <= 0xac) ||
      (byte >= 0xae && byte <= 0xff);
    bytes.set(String.fromCodePoint(isVisible ? byte : next++), byte);
  }
  return bytes;
}

/**
 * Returns the bytes of a vocabulary entry; an entry with a character outside the table is taken as
 * UTF-8 text.
 */
function byteLevelBytes(token: string): Uint8Array {
  const bytes = [...token].map((character) => BYTE_OF_CHARACTER.get(character) ?? -1);
  return bytes.includes(-1) ? Buffer.from(token, 'utf8') : Uint8Array.from(bytes);
}
