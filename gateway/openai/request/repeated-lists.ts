import { MeshError } from '#mesh/errors.ts';
import type { SamplingParams } from '#protos/autoglm/llm/v1/sampling.ts';
import type { StructuredOutput } from '#protos/autoglm/llm/v1/structured_output.ts';

/** The parts of a request that may have lists. */
interface Lists {
  readonly sampling: SamplingParams;
  readonly structuredOutput: StructuredOutput | undefined;
}

/** Most characters of the lists of all prompts of a request. */
const MAX_CHARS = 16 * 1024 * 1024;
/** Characters of text that take as long to translate as one entry. */
const ENTRY_CHARS = 32;

/**
 * Refuses long lists of sampling parameters, and a long form of the answer, together with many prompts, because each prompt is a
 * request of its own to the mesh, which carries all lists.
 */
export function checkRepeatedLists(
  { sampling, structuredOutput }: Lists,
  numPrompts: number,
): void {
  const { logitBias, allowedTokenIds, stopTokenIds, stopStrings, badWords } = sampling;
  const lists = [Object.keys(logitBias), allowedTokenIds, stopTokenIds, stopStrings, badWords];
  const numEntries = lists.reduce((sum, { length }) => sum + length, 0);
  const numChars =
    numCharsOf(stopStrings) +
    numCharsOf(badWords) +
    numEntries * ENTRY_CHARS +
    numCharsOf(textsOf(structuredOutput));
  if (numPrompts * numChars <= MAX_CHARS) return;
  const message =
    `logit_bias, allowed_token_ids, stop_token_ids, stop, bad_words and the form of the answer have ${numEntries} entries, ` +
    `too many or too long for ${numPrompts} prompts in one request; send fewer of either`;
  throw new MeshError('PAYLOAD_TOO_LARGE', message, { param: 'prompt' });
}

function textsOf(structuredOutput: StructuredOutput | undefined): readonly string[] {
  const form = structuredOutput?.form;
  if (form?.$case === 'choice') return form.value.texts;
  return typeof form?.value === 'string' ? [form.value] : [];
}

function numCharsOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}
