import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { property } from './mesh.ts';

/** A question to phone-nano and the answer its reference implementation gives. */
export interface GoldenText {
  readonly question: string;
  readonly enableThinking: boolean;
  readonly answer: string;
  readonly numPromptTokens: number;
}

/** The text cases of phone-nano's golden file. */
export const GOLDEN_TEXTS: readonly GoldenText[] = readTexts();

function readTexts(): GoldenText[] {
  const path = join(PACKAGE_ROOT, 'deploy/models/phone-nano/golden.json');
  const cases = property(JSON.parse(readFileSync(path, 'utf8')), 'cases');
  assert(Array.isArray(cases));
  const texts = cases.filter((one) => property(one, 'group') === 'text');
  assert(texts.length > 10);
  return texts.map((one) => ({
    question: String(property(one, 'content', 0, 'text')),
    enableThinking: property(one, 'enable_thinking') === true,
    answer: String(property(one, 'reference')),
    numPromptTokens: Number(property(one, 'prompt_ids', 'length')),
  }));
}
