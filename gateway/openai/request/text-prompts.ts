import { MeshError } from '#mesh/errors.ts';
import { briefly } from '#mesh/json-value.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

const ALLOWED = 'a text, a list of token ids, or a list of either';

type PromptForm = NonNullable<Prompt['form']>;

/** Where prompts stand in a request, and how many there may be. */
export interface PromptBounds {
  readonly field: string;
  readonly maxPrompts: number;
}

/** Reads the four shapes of prompts without messages: a text, token ids, or a list of either. */
export function textPrompts(
  prompts: unknown,
  addSpecialTokens: boolean,
  { field, maxPrompts }: PromptBounds,
): PromptForm[] {
  if (typeof prompts === 'string') return [textForm(prompts, addSpecialTokens)];
  if (!Array.isArray(prompts) || prompts.length === 0) throw refusal(field, prompts);
  if (typeof prompts[0] === 'number') return [tokenForm(prompts, field)];
  if (prompts.length > maxPrompts) {
    const message = `${field} must hold at most ${maxPrompts} prompts, got ${prompts.length}`;
    throw new MeshError('INVALID_REQUEST', message, { param: field });
  }
  return prompts.map((one: unknown, i) => {
    if (typeof one === 'string') return textForm(one, addSpecialTokens);
    if (Array.isArray(one) && one.length > 0) return tokenForm(one, `${field}[${i}]`);
    throw refusal(`${field}[${i}]`, one);
  });
}

function textForm(text: string, addSpecialTokens: boolean): PromptForm {
  return { $case: 'text', value: { text, addSpecialTokens } };
}

function tokenForm(ids: readonly unknown[], at: string): PromptForm {
  return { $case: 'tokens', value: { tokenIds: tokenIds(ids, at) } };
}

/** Checks that a list holds token ids, each a uint32. */
export function tokenIds(ids: readonly unknown[], at: string): number[] {
  return ids.map((id, i) => {
    if (typeof id === 'number' && id >>> 0 === id) return id;
    const message = `${at}[${i}] must be a token id, got ${briefly(id)}`;
    throw new MeshError('INVALID_REQUEST', message, { param: `${at}[${i}]` });
  });
}

function refusal(at: string, received: unknown): MeshError {
  const isEmpty = Array.isArray(received) && received.length === 0;
  const message = `${at} must be ${ALLOWED}, got ${isEmpty ? 'an empty list' : briefly(received)}`;
  return new MeshError('INVALID_REQUEST', message, { param: at });
}
