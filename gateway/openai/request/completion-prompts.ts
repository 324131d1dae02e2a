import { MeshError } from '#mesh/errors.ts';
import { briefly } from '#mesh/json-value.ts';
import type { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

/** Most prompts of one request. */
const MAX_PROMPTS = 256;
const ALLOWED = 'a text, a list of token ids, or a list of either';

type PromptForm = NonNullable<Prompt['form']>;

/** Reads the four shapes of a legacy prompt: a text, token ids, or a list of either. */
export function completionPrompts(prompt: unknown, addSpecialTokens: boolean): PromptForm[] {
  if (typeof prompt === 'string') return [textForm(prompt, addSpecialTokens)];
  if (!Array.isArray(prompt) || prompt.length === 0) throw refusal('prompt', prompt);
  if (typeof prompt[0] === 'number') return [tokenForm(prompt, 'prompt')];
  if (prompt.length > MAX_PROMPTS) {
    const message = `prompt must hold at most ${MAX_PROMPTS} prompts, got ${prompt.length}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'prompt' });
  }
  return prompt.map((one: unknown, i) => {
    if (typeof one === 'string') return textForm(one, addSpecialTokens);
    if (Array.isArray(one) && one.length > 0) return tokenForm(one, `prompt[${i}]`);
    throw refusal(`prompt[${i}]`, one);
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
