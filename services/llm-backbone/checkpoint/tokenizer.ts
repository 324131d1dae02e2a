import { join } from 'node:path';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { MeshError } from '#mesh/errors.ts';
import { Vocabulary } from './vocabulary.ts';

/** Turns text into token ids off the JavaScript thread, and knows what each token says. */
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
    // A file may carry the settings of its training; a prompt is never cut or filled silently.
    native.disableTruncation();
    native.disablePadding();
  }

  /**
   * Special tokens written in the text become their ids either way; `addSpecialTokens` is about those
   * the tokenizer adds around a text by itself. A rendered template already has them.
   */
  async encode(
    text: string,
    options: { readonly addSpecialTokens: boolean },
  ): Promise<readonly number[]> {
    const encoding = await this.#native.encode(text, null, options);
    return encoding.getIds();
  }
}
