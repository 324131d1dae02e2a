import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { TokenConstraint } from '#backbone/engine/token-constraint.ts';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import type { GrammarDesk } from '#backbone/grammar/grammar-desk.ts';
import { endsInReasoning, reasoningTags } from '#backbone/output/reasoning-counter.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Grammar } from '#native';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { formConstraints } from './form-constraint.ts';
import type { SamplingFacts } from './sampling.ts';

/** What gives answers their forms. */
export interface FormReader {
  readonly desk: GrammarDesk;
  /** Form of answers whose request names none; null: any text. */
  readonly defaultForm: LimitingForm | null;
}

/** Returns the form that an answer must have, null for any text; refuses what contradicts it. */
export function requestedForm(
  { structuredOutput, sampling, prompt, embedding }: GenerateStart,
  { defaultForm }: FormReader,
): LimitingForm | null {
  const form = structuredOutput?.form;
  const isListed = (sampling?.allowedTokenIds.length ?? 0) > 0;
  const hasNoEnd = sampling?.ignoreEos === true;
  const hasTools = prompt?.form?.$case === 'chat' && prompt.form.value.tools.length > 0;
  // A request that contradicts the default form has any text.
  const isOther = isListed || hasNoEnd || hasTools || embedding !== undefined;
  if (form === undefined) return isOther ? null : defaultForm;
  if (form.$case === 'anyText') return null;
  const refuse = (param: string, why: string): never => {
    throw new MeshError('INVALID_REQUEST', `${param}: ${why}`, { param });
  };
  if (isListed) {
    refuse('sampling.allowed_token_ids', 'cannot be combined with a form of the answer');
  }
  if (hasTools) {
    refuse('prompt.chat.tools', 'cannot be combined with a form of the answer; a call has its own');
  }
  if (hasNoEnd) {
    refuse('sampling.ignore_eos', 'an answer with a form ends where the form does');
  }
  return form;
}

export interface ConstraintFacts {
  readonly form: LimitingForm;
  readonly grammar: Grammar;
  readonly sampling: SamplingFacts;
  readonly vocabulary: Vocabulary;
  readonly promptTokenIds: readonly number[];
  /** Whether thoughts are told apart from the answer. */
  readonly splitsReasoning: boolean;
}

/** Makes the constraints of a request whose answers have a form. */
export function constraintsOf({
  form,
  grammar,
  sampling: { numLogits, eosTokenIds },
  vocabulary,
  promptTokenIds,
  splitsReasoning,
}: ConstraintFacts): () => TokenConstraint {
  const tags = reasoningTags(vocabulary);
  return formConstraints({
    grammar,
    numLogits,
    eosTokenIds,
    tags,
    startsInReasoning: endsInReasoning(promptTokenIds, tags),
    // Whoever reads JSON takes no thoughts in front of it; the phone agent expects them.
    mayThink: splitsReasoning || form.$case === 'phoneAction',
  });
}
