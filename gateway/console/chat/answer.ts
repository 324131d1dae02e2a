import { errorMessageIn } from '../client/error-body.ts';
import type { AnswerTurn } from './conversation.ts';

/** What the page reads of a chunk of a chat completion. */
interface Chunk {
  readonly choices?: readonly {
    readonly delta?: {
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
    };
    readonly finish_reason?: string | null;
  }[];
  readonly usage?: { readonly completion_tokens?: number } | null;
}

/** An answer of which nothing has come yet. */
export const EMPTY_ANSWER: AnswerTurn = {
  role: 'assistant',
  reasoning: '',
  content: '',
  end: 'running',
  error: '',
  ttftMs: undefined,
  totalMs: undefined,
  numTokens: undefined,
  requestId: '',
};

/** Returns the answer with the data of the next event; `elapsedMs` is since the request. */
export function withEvent(answer: AnswerTurn, data: string, elapsedMs: number): AnswerTurn {
  if (data === '[DONE]') return { ...answer, totalMs: answer.totalMs ?? elapsedMs };
  const error = errorMessageIn(data);
  if (error !== undefined) return failed(answer, error, elapsedMs);
  const { choices = [], usage }: Chunk = JSON.parse(data);
  const [choice] = choices;
  const reasoning = choice?.delta?.reasoning_content ?? '';
  const content = choice?.delta?.content ?? '';
  const hasText = reasoning !== '' || content !== '';
  return {
    ...answer,
    reasoning: answer.reasoning + reasoning,
    content: answer.content + content,
    ttftMs: answer.ttftMs ?? (hasText ? elapsedMs : undefined),
    numTokens: usage?.completion_tokens ?? answer.numTokens,
    ...endOf(choice?.finish_reason, elapsedMs),
  };
}

function endOf(reason: string | null | undefined, elapsedMs: number): Partial<AnswerTurn> {
  if (reason === null || reason === undefined) return {};
  return { end: reason === 'length' ? 'length' : 'stop', totalMs: elapsedMs };
}

export function failed(answer: AnswerTurn, error: string, elapsedMs: number): AnswerTurn {
  return { ...answer, end: 'failed', error, totalMs: elapsedMs };
}

/** Returns tokens a second between the first and the last token; undefined if that says nothing. */
export function tokenRate({ numTokens, ttftMs, totalMs }: AnswerTurn): number | undefined {
  if (numTokens === undefined || ttftMs === undefined || totalMs === undefined) return undefined;
  const decodeMs = totalMs - ttftMs;
  return numTokens < 3 || decodeMs < 1 ? undefined : ((numTokens - 1) * 1000) / decodeMs;
}
