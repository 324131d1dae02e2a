import { MeshError } from '../errors.ts';

export interface ContextOverflow {
  readonly maxModelLen: number;
  readonly numPromptTokens: number;
  /** False if the prompt was not counted to its end. Unset: true. */
  readonly isWhole?: boolean;
  /** Most tokens of the completion; undefined if the request leaves it to the server. */
  readonly maxTokens: number | undefined;
  /** What takes the tokens and what would fit, from "; " on; "" for nothing. */
  readonly share?: string;
  /** The field at fault: its path in the proto message. */
  readonly param: string;
}

/**
 * Makes the refusal of a prompt that leaves no room for its completion. Clients tell it from other
 * refusals by the words "maximum context length is N tokens", so it is worded as vLLM words it.
 */
export function contextOverflow(overflow: ContextOverflow): MeshError {
  const { maxModelLen, numPromptTokens, isWhole = true, maxTokens = 1, share = '' } = overflow;
  const least = isWhole ? '' : 'at least ';
  const message =
    `${contextLength(maxModelLen)}. However, you requested ${maxTokens} output tokens and your ` +
    `prompt contains ${least}${numPromptTokens} input tokens, for a total of ` +
    `${least}${numPromptTokens + maxTokens} tokens${share}. Please reduce the length of the input prompt or the number of requested output tokens.`;
  return new MeshError('CONTEXT_LENGTH_EXCEEDED', message, { param: overflow.param });
}

/** Says how long a context is, in the words that clients look for. */
export function contextLength(maxModelLen: number): string {
  return `This model's maximum context length is ${maxModelLen} tokens`;
}
