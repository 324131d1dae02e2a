import { join } from 'node:path';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { Vocabulary } from './vocabulary.ts';

/** Turns text into token ids off the JavaScript thread, and knows the text of each token. */
export class Tokenizer {
  readonly vocabulary: Vocabulary;
  /** Ids that the tokenizer puts around a text of its own accord. */
  around: { readonly before: readonly number[]; readonly after: readonly number[] } = {
    before: [],
    after: [],
  };
  readonly #native: NativeTokenizer;

  static async load(modelDirectory: string): Promise<Tokenizer> {
    const path = join(modelDirectory, 'tokenizer.json');
    try {
      const vocabulary = await Vocabulary.load(path);
      const tokenizer = new Tokenizer(vocabulary, NativeTokenizer.fromFile(path));
      await tokenizer.#findAround();
      return tokenizer;
    } catch (cause: unknown) {
      if (cause instanceof MeshError) throw cause;
      const why = errorMessage(cause);
      throw new MeshError('INVALID_REQUEST', `${path}: not a tokenizer: ${why}`, { cause });
    }
  }

  constructor(vocabulary: Vocabulary, native: NativeTokenizer) {
    this.vocabulary = vocabulary;
    this.#native = native;
    // The file may carry truncation and padding from training; a prompt is never cut or filled
    // silently.
    native.disableTruncation();
    native.disablePadding();
  }

  /**
   * Encodes a text. Special tokens written in the text always become their ids; `addSpecialTokens`
   * also adds those that the tokenizer puts around a text. A rendered template already has them.
   */
  async encode(
    text: string,
    options: { readonly addSpecialTokens: boolean },
  ): Promise<readonly number[]> {
    const encoding = await this.#native.encode(text, null, options);
    return encoding.getIds();
  }

  /** Encodes each of several texts by itself; returns the ids of all, in order. */
  async encodeEach(texts: readonly string[]): Promise<readonly number[]> {
    const [first, ...more] = texts;
    if (first === undefined) return [];
    if (more.length === 0) return this.encode(first, { addSpecialTokens: false });
    const encodings = await this.#native.encodeBatch([...texts], { addSpecialTokens: false });
    return encodings.flatMap((encoding) => encoding.getIds());
  }

  async #findAround(): Promise<void> {
    const plain = await this.encode('a', { addSpecialTokens: false });
    const whole = await this.encode('a', { addSpecialTokens: true });
    const first = plain[0] ?? -1;
    const at = Math.max(0, whole.indexOf(first));
    this.around = { before: whole.slice(0, at), after: whole.slice(at + plain.length) };
  }
}
