import assert from 'node:assert/strict';
import o200k from 'js-tiktoken/ranks/o200k_base';
import { compileForm } from '#backbone/grammar/compile-form.ts';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { createTokenTrie, type Grammar, type TokenTrie } from '#native';
import { seededRandom } from '#test/seeded-random.ts';
import type { Figure } from '../figure.ts';

/** Size of GLM-4's vocabulary, and rows of its head. */
const NUM_TOKENS = 151_329;
const NUM_LOGITS = 151_552;

/** Texts that are forced through each grammar, and most tokens of one. */
const NUM_TEXTS = 20;
const MAX_TOKENS = 200;
const SEED = 14;

const PLAN = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    tags: { type: 'array', items: { type: 'string', maxLength: 40 } },
    kind: { enum: ['a', 'b'] },
  },
  required: ['name', 'age', 'tags', 'kind'],
};

const FORMS: Readonly<Record<string, LimitingForm>> = {
  'any JSON object': { $case: 'jsonObject', value: {} },
  'a schema': { $case: 'jsonSchema', value: JSON.stringify(PLAN) },
  'a text of 500 characters': {
    $case: 'jsonSchema',
    value: JSON.stringify({ type: 'string', minLength: 1, maxLength: 500 }),
  },
  'an action of the phone agent': { $case: 'phoneAction', value: {} },
};

/**
 * Measures what forms cost with as many tokens as GLM-4 has, those of another vocabulary of real
 * texts: compiling one, and a mask for each token of random texts.
 */
export async function benchGrammars(): Promise<Figure[]> {
  const texts = vocabularyTexts();
  const trie = timed(() => trieOf(texts));
  const figures: Figure[] = [{ name: 'vocabulary laid out', value: trie.ms, unit: 'ms' }];
  for (const [name, form] of Object.entries(FORMS)) {
    const automaton = timed(() => compileForm(form));
    const { result } = automaton;
    assert(result.kind === 'automaton', 'a form of the bench is refused');
    const start = performance.now();
    const grammar = await trie.result.compile(result.automaton);
    figures.push(
      { name: `${name}: automaton, in its thread`, value: automaton.ms, unit: 'ms' },
      { name: `${name}: masks ahead, in a thread`, value: performance.now() - start, unit: 'ms' },
      ...maskFigures(name, grammar),
    );
  }
  return figures;
}

function timed<T>(work: () => T): { readonly result: T; readonly ms: number } {
  const start = performance.now();
  const result = work();
  return { result, ms: performance.now() - start };
}

/** Returns the texts of the first tokens of o200k: as many as GLM-4 has. */
function vocabularyTexts(): Buffer[] {
  const texts: Buffer[] = [];
  for (const line of o200k.bpe_ranks.split('\n')) {
    const [, first = '', ...tokens] = line.split(' ');
    for (const [i, token] of tokens.entries()) {
      texts[Number(first) + i] = Buffer.from(token, 'base64');
    }
  }
  return texts.slice(0, NUM_TOKENS);
}

function trieOf(texts: readonly Buffer[]): TokenTrie {
  const starts = new Uint32Array(texts.length + 1);
  for (const [id, text] of texts.entries()) starts[id + 1] = (starts[id] ?? 0) + text.length;
  return createTokenTrie({ bytes: Buffer.concat(texts), starts, numLogits: NUM_LOGITS });
}

function maskFigures(name: string, grammar: Grammar): Figure[] {
  const random = seededRandom(SEED);
  const words = new Uint32Array(Math.ceil(NUM_LOGITS / 32));
  const times: number[] = [];
  for (let text = 0; text < NUM_TEXTS; text++) {
    const matcher = grammar.createMatcher();
    for (let i = 0; i < MAX_TOKENS; i++) {
      times.push(1000 * timed(() => matcher.fillMask(words)).ms);
      const id = randomBit(words, random);
      if (id === undefined) break;
      matcher.accept(id);
    }
  }
  times.sort((a, b) => a - b);
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  const at = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0;
  return [
    { name: `${name}: a mask, mean`, value: mean, unit: 'µs' },
    { name: `${name}: a mask, median`, value: at(0.5), unit: 'µs' },
    { name: `${name}: a mask, 99 of 100`, value: at(0.99), unit: 'µs' },
  ];
}

/** Picks one of the tokens that a mask allows. */
function randomBit(words: Uint32Array, random: () => number): number | undefined {
  const ids: number[] = [];
  for (const [i, word] of words.entries()) {
    for (let bits = word; bits !== 0; bits &= bits - 1) {
      ids.push(i * 32 + 31 - Math.clz32(bits & -bits));
    }
  }
  return ids[Math.floor(random() * ids.length)];
}
