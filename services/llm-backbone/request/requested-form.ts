import type { Vocabulary } from '#backbone/checkpoint/vocabulary.ts';
import type { TokenConstraint } from '#backbone/engine/token-constraint.ts';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import type { GrammarDesk } from '#backbone/grammar/grammar-desk.ts';
import { endsInReasoning, reasoningTags } from '#backbone/output/reasoning-counter.ts';
import type { ToolUse } from '#backbone/output/tool-use.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Grammar } from '#native';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { formConstraints } from './form-constraint.ts';
import type { SamplingFacts } from './sampling.ts';

import { callForm, heldCalls, withCalls } from './tool-form.ts';
import { TOOLS } from './tools.ts';

/** What gives answers their forms. */
export interface FormReader {
  readonly desk: GrammarDesk;
  /** Form of answers whose request names none; null: any text. */
  readonly defaultForm: LimitingForm | null;
}

/**
 * Returns the form that an answer must have, null for any text; refuses what contradicts it. An
 * answer that may call tools has the form or calls.
 */
export function requestedForm(
  start: GenerateStart,
  tools: ToolUse | null,
  forms: FormReader,
): LimitingForm | null {
  const { required = false } = start.toolChoice ?? {};
  if (tools === null) return formOfText(start, forms);
  if (required) {
    if (start.structuredOutput !== undefined) {
      throw new MeshError(
        'INVALID_REQUEST',
        'tool_choice: an answer that must call has no other form; leave the form out',
        { param: 'tool_choice' },
      );
    }
    return formOfText({ ...start, structuredOutput: { form: callForm(tools) } }, forms);
  }
  // Calls are more than the default form allows.
  const form = formOfText(start, { ...forms, defaultForm: null });
  if (form !== null) return withCalls(form, tools);
  const held = heldCalls(tools);
  return held === null ? null : formOfText({ ...start, structuredOutput: { form: held } }, forms);
}

/** Compiles the form of a request; what is wrong with a form made of tools is wrong with them. */
export async function compiled(
  form: LimitingForm,
  { prompt, toolChoice, structuredOutput, clientId: client }: GenerateStart,
  { desk }: FormReader,
  signal: AbortSignal,
): Promise<Grammar> {
  try {
    return await desk.compile(form, { client, signal });
  } catch (error: unknown) {
    if (!(error instanceof MeshError) || error.reason !== 'INVALID_REQUEST') throw error;
    if (toolChoice?.required === true) {
      const message = `tool_choice: the tools cannot be enforced: ${error.message}`;
      throw error.about('tool_choice', message);
    }
    const hasTools = prompt?.form?.$case === 'chat' && prompt.form.value.tools.length > 0;
    if (!hasTools || !isAnyText(structuredOutput)) throw error;
    const message = `${TOOLS}: the strict tools cannot be enforced: ${error.message}`;
    throw error.about(TOOLS, message);
  }
}

function isAnyText(output: GenerateStart['structuredOutput']): boolean {
  return output?.form === undefined || output.form.$case === 'anyText';
}

function formOfText(
  start: Pick<GenerateStart, 'structuredOutput' | 'sampling' | 'embedding'>,
  { defaultForm }: FormReader,
): LimitingForm | null {
  const { structuredOutput, sampling, embedding } = start;
  const form = structuredOutput?.form;
  const isListed = (sampling?.allowedTokenIds.length ?? 0) > 0;
  const hasNoEnd = sampling?.ignoreEos === true;
  // A request that contradicts the default form has any text.
  const isOther = isListed || hasNoEnd || embedding !== undefined;
  if (form === undefined) return isOther ? null : defaultForm;
  if (form.$case === 'anyText') return null;
  const refuse = (param: string, why: string): never => {
    throw new MeshError('INVALID_REQUEST', `${param}: ${why}`, { param });
  };
  if (isListed) {
    refuse('sampling.allowed_token_ids', 'cannot be combined with a form of the answer');
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
  /** Whether thoughts are told apart from what has the form. */
  readonly mayThink: boolean;
}

/** Makes the constraints of a request whose answers have a form. */
export function constraintsOf({
  form,
  grammar,
  sampling: { numLogits, eosTokenIds },
  vocabulary,
  promptTokenIds,
  mayThink,
}: ConstraintFacts): () => TokenConstraint {
  const tags = reasoningTags(vocabulary);
  return formConstraints({
    grammar,
    numLogits,
    eosTokenIds,
    tags,
    startsInReasoning: endsInReasoning(promptTokenIds, tags),
    // Whoever reads JSON takes no thoughts in front of it; the phone agent expects them.
    mayThink: mayThink || form.$case === 'phoneAction',
  });
}
