import { readPhoneCases } from './phone-cases.ts';

/** Questions to phone-nano and the answers that its reference implementation gives. */
export const GOLDEN_CASES = readPhoneCases('golden.json');

/** A question in words alone. */
export interface GoldenText {
  readonly question: string;
  readonly enableThinking: boolean;
  readonly answer: string;
  readonly numPromptTokens: number;
}

export const GOLDEN_TEXTS: readonly GoldenText[] = GOLDEN_CASES.flatMap((one) => {
  const [part, ...more] = one.content;
  if (part?.type !== 'text' || more.length > 0) return [];
  return {
    question: part.text,
    enableThinking: one.enable_thinking,
    answer: one.reference,
    numPromptTokens: one.prompt_ids?.length ?? 0,
  };
});
