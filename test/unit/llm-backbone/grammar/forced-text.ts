import assert from 'node:assert/strict';
import { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import { compileForm } from '#backbone/grammar/compile-form.ts';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { vocabularyTrie } from '#backbone/grammar/vocabulary-trie.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { Grammar, Matcher } from '#native';

/** The vocabulary of phone-nano, whose tokens have up to several characters. */
export const vocabulary = await Vocabulary.load(
  `${PACKAGE_ROOT}/deploy/models/phone-nano/tokenizer.json`,
);
const NUM_LOGITS = 1536;
const trie = vocabularyTrie(vocabulary, { excludedIds: new Set(), numLogits: NUM_LOGITS });

/** Compiles a form; the error is the refusal's parameter and message. */
export async function grammarOf(form: LimitingForm): Promise<Grammar> {
  const answer = compileForm(form);
  assert(answer.kind === 'automaton', answer.kind === 'automaton' ? '' : answer.message);
  return trie.compile(answer.automaton);
}

/** Returns the parameter and the message with which a form is refused. */
export function refusalOfForm(form: LimitingForm): { param: string; message: string } {
  const answer = compileForm(form);
  assert(answer.kind === 'refusal', `${answer.kind} of ${JSON.stringify(form)}`);
  return { param: answer.param, message: answer.message };
}

/** Returns the tokens that a matcher allows. */
export function allowedIds(matcher: Matcher): number[] {
  const words = new Uint32Array(Math.ceil(NUM_LOGITS / 32));
  matcher.fillMask(words);
  const ids: number[] = [];
  for (let id = 0; id < NUM_LOGITS; id++)
    if (((words[id >>> 5] ?? 0) >>> (id & 31)) & 1) ids.push(id);
  return ids;
}

/** Tokens after which a text shall come to its end. */
const PATIENCE = 40;
const MAX_TOKENS = 3000;

/**
 * Forces random tokens through a matcher until its text is complete; `random` returns numbers from 0
 * to below 1. After some tokens it takes those that close texts, lists and objects, if it may.
 */
export function forcedText(grammar: Grammar, random: () => number): string {
  const matcher = grammar.createMatcher();
  const bytes: Uint8Array[] = [];
  for (let i = 0; i < MAX_TOKENS; i++) {
    const ids = allowedIds(matcher);
    if (matcher.isComplete && (ids.length === 0 || random() < 0.2 || i > PATIENCE)) {
      return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(bytes));
    }
    assert.notEqual(ids.length, 0, `nothing may follow ${Buffer.concat(bytes)}`);
    const choices = i > PATIENCE ? endingOf(ids, random) : ids;
    const id = choices[Math.floor(random() * choices.length)] ?? 0;
    assert(matcher.accept(id), `the mask allows token ${id}, which is refused`);
    bytes.push(vocabulary.bytesOf(id));
  }
  return assert.fail(`no end: ${Buffer.concat(bytes).toString().slice(-200)}`);
}

/**
 * Returns tokens that bring an end nearer: a quote, what closes lists and objects, or, where neither
 * is allowed or does (brackets within a text), single characters.
 */
function endingOf(ids: readonly number[], random: () => number): readonly number[] {
  const texts = ids.map((id) => Buffer.from(vocabulary.bytesOf(id)).toString('latin1'));
  const matching = (wanted: RegExp) => ids.filter((_, i) => wanted.test(texts[i] ?? ''));
  const quotes = matching(/^"$/);
  if (quotes.length > 0 && random() < 0.5) return quotes;
  const closing = matching(/^["\]}]+$/);
  if (closing.length > 0 && random() < 0.5) return closing;
  const single = matching(/^[\x20-\x7e]$/);
  return single.length > 0 ? single : ids;
}

/** Tells whether a text is one of a grammar, by its bytes as far as they are tokens. */
export function takesText(grammar: Grammar, text: string): boolean {
  const matcher = grammar.createMatcher();
  const isRead = [...Buffer.from(text, 'utf8')].every((byte) => matcher.accept(byteToken(byte)));
  return isRead && matcher.isComplete;
}

function byteToken(byte: number): number {
  for (let id = 0; id < vocabulary.size; id++) {
    const bytes = vocabulary.bytesOf(id);
    if (bytes.length === 1 && bytes[0] === byte) return id;
  }
  return assert.fail(`no token for byte ${byte}`);
}
