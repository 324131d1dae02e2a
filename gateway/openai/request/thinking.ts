import { type Static, Type } from 'typebox';
import type { ReasoningForm } from '#gateway/openai/answer/answer-form.ts';
import { MeshError } from '#mesh/errors.ts';
import { flagField, literalsField } from './fields.ts';
import { MAX_COUNT, type SamplingRequest } from './sampling.ts';

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
const SWITCHES = ['enabled', 'disabled', 'auto', 'adaptive'] as const;

const nullable = (description: string) =>
  Type.Union([Type.Boolean(), Type.Null()], { description });
const flag = () => Type.Optional(nullable('true or false'));
const budget = () =>
  Type.Optional(
    Type.Union([Type.Integer({ minimum: 0, maximum: MAX_COUNT }), Type.Null()], {
      description: `an integer from 0 to ${MAX_COUNT}`,
    }),
  );

/** Fields that switch thinking on or off, as this server, vLLM, SGLang, Zhipu and OpenRouter name it. */
export const thinkingFields = {
  enable_thinking: flagField(),
  reasoning_effort: literalsField(EFFORTS),
  thinking: Type.Optional(
    Type.Object(
      { type: literalsField(SWITCHES), clear_thinking: flag(), budget_tokens: budget() },
      { description: 'an object with the type "enabled" or "disabled"' },
    ),
  ),
  reasoning: Type.Optional(
    Type.Object(
      {
        effort: Type.Optional(
          Type.Union([...EFFORTS.map((one) => Type.Literal(one)), Type.Null()], {
            description: `one of ${EFFORTS.join(', ')}`,
          }),
        ),
        enabled: flag(),
        enable: flag(),
        exclude: flag(),
        max_tokens: budget(),
      },
      { description: 'an object with effort, enabled and exclude' },
    ),
  ),
} as const;

/** Fields that say where thoughts go. */
export const reasoningFields = {
  return_reasoning: flagField(),
  separate_reasoning: flagField(),
  include_reasoning: flagField(),
} as const;

type ThinkingRequest = Static<ReturnType<typeof Type.Object<typeof thinkingFields>>>;
type ReasoningRequest = Static<ReturnType<typeof Type.Object<typeof reasoningFields>>> &
  Pick<ThinkingRequest, 'reasoning'>;

/** A setting and the field that makes it. */
type Setting<Value> = readonly [field: string, value: Value | null | undefined];

/**
 * Returns whether the client wants the model to think; undefined leaves it to the template. `args`
 * is `chat_template_kwargs`. All fields that say it must agree; an effort says it only if no other
 * field does.
 */
export function thinkingSwitch(
  request: ThinkingRequest,
  args: Readonly<Record<string, unknown>>,
): unknown {
  const { enable_thinking, thinking, reasoning, reasoning_effort } = request;
  const said = agreed<unknown>([
    ['chat_template_kwargs.enable_thinking', args['enable_thinking']],
    ['chat_template_kwargs.thinking', args['thinking']],
    ['enable_thinking', enable_thinking],
    ['thinking.type', typeSwitch(thinking?.type)],
    ['reasoning.enabled', reasoning?.enabled],
    ['reasoning.enable', reasoning?.enable],
  ]);
  const effort = agreed([
    ['reasoning_effort', reasoning_effort],
    ['reasoning.effort', reasoning?.effort],
  ]);
  return said ?? (effort === undefined ? undefined : effort !== 'none');
}

function typeSwitch(type: (typeof SWITCHES)[number] | undefined): boolean | undefined {
  if (type === 'enabled') return true;
  return type === 'disabled' ? false : undefined;
}

/** Returns the most tokens of thoughts that the client wants; undefined for no bound. */
export function thinkingBudget(
  request: ThinkingRequest & Pick<SamplingRequest, 'thinking_token_budget'>,
): number | undefined {
  const { thinking_token_budget: ours, thinking, reasoning } = request;
  return agreed([
    ['thinking_token_budget', ours === -1 ? undefined : ours],
    ['thinking.budget_tokens', thinking?.budget_tokens],
    ['reasoning.max_tokens', reasoning?.max_tokens],
  ]);
}

/** Returns where the client wants the thoughts; `usual` if it does not say it. */
export function reasoningForm(request: ReasoningRequest, usual: ReasoningForm): ReasoningForm {
  const { return_reasoning, separate_reasoning, include_reasoning, reasoning } = request;
  if (include_reasoning === false || reasoning?.exclude === true) return 'hidden';
  const isApart = agreed([
    ['return_reasoning', return_reasoning],
    ['separate_reasoning', separate_reasoning],
  ]);
  const wish = isApart ?? include_reasoning;
  if (wish === undefined) return usual;
  return wish ? 'apart' : 'inline';
}

/** Returns the value that all fields give which are set; refuses a second opinion. */
function agreed<Value>(settings: readonly Setting<Value>[]): Value | undefined {
  let first: Setting<Value> | undefined;
  for (const setting of settings) {
    const [field, value] = setting;
    if (value === undefined || value === null) continue;
    first ??= setting;
    if (value === first[1]) continue;
    throw new MeshError('INVALID_REQUEST', `${field} differs from ${first[0]}`, { param: field });
  }
  return first?.[1] ?? undefined;
}
