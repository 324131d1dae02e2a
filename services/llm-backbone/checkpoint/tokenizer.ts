import { join } from 'node:path';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { MeshError } from '#mesh/errors.ts';
import { Vocabulary } from './vocabulary.ts';

/** Turns text into token ids off the JavaScript thread, and knows the text of each token. */
export class Tokenizer {
  readonly vocabulary: Vocabulary;
  readonly #native: NativeTokenizer;

  static async load(modelDirectory: string): Promise<Tokenizer> {
    const path = join(modelDirectory, 'tokenizer.json');
    try {
      const vocabulary = await Vocabulary.load(path);
      return new Tokenizer(vocabulary, NativeTokenizer.fromFile(path));
    } catch (cause: unknown) {
      if (cause instanceof MeshError) throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
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
}
