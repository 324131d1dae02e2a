import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

/** A tokenizer and chat template of the GLM-4 form, without weights. */
export const TEXT_MODEL = join(PACKAGE_ROOT, 'test', 'testdata', 'text');

export const vocabulary = await Vocabulary.load(join(TEXT_MODEL, 'tokenizer.json'));

interface Golden {
  readonly tokens: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly decoded: string;
  }[];
  readonly templates: readonly {
    readonly messages: readonly { readonly role: string; readonly content: unknown }[];
    readonly enable_thinking: boolean | null;
    readonly rendered: string;
  }[];
}

function isGolden(value: unknown): value is Golden {
  return typeof value === 'object' && value !== null && 'tokens' in value && 'templates' in value;
}

function readGolden(): Golden {
  const parsed: unknown = JSON.parse(readFileSync(join(TEXT_MODEL, 'golden.json'), 'utf8'));
  if (!isGolden(parsed)) throw new Error('golden.json of the text model has no tokens');
  return parsed;
}

export const golden = readGolden();
