import { alias, EMPTY, each, HARMLESS, HONOURED, honouredObject, refused } from './field-use.ts';
import { MESSAGE_USES } from './message-uses.ts';

const NO_BUDGET = 'the number of thoughts cannot be bounded; max_tokens counts them too';
const SERVER_TEMPLATE = 'the server chooses the template; see --chat-template';

/** Fields of a conversation, which `/tokenize` takes too: messages, template, thinking. */
export const CONVERSATION_USES = {
  messages: honouredObject(MESSAGE_USES),
  ...each(
    HONOURED,
    'add_generation_prompt',
    'continue_final_message',
    'chat_template_kwargs',
    'mm_processor_kwargs',
    'enable_thinking',
    'reasoning_effort',
  ),
  thinking: honouredObject({
    type: HONOURED,
    budget_tokens: refused(NO_BUDGET),
    clear_thinking: HONOURED,
  }),
  reasoning: honouredObject({
    effort: HONOURED,
    enabled: HONOURED,
    enable: HONOURED,
    exclude: HONOURED,
    max_tokens: refused(NO_BUDGET),
    summary: HARMLESS,
    generate_summary: HARMLESS,
  }),
  think: alias('enable_thinking'),
  ...each(
    refused(NO_BUDGET, -1),
    'thinking_token_budget',
    'thinking_budget',
    'reasoning_budget_tokens',
    'max_thinking_tokens',
  ),
  // They have no effect without a budget.
  ...each(
    HARMLESS,
    'reasoning_budget_start_tag',
    'reasoning_budget_end_tag',
    'reasoning_budget_end_tags',
    'reasoning_budget_message',
  ),
  reasoning_control: refused(NO_BUDGET, false),
  chat_template: refused(SERVER_TEMPLATE),
  chat_format: refused(SERVER_TEMPLATE),
  chat_parser: refused(SERVER_TEMPLATE, EMPTY),
  generation_prompt: refused(SERVER_TEMPLATE, EMPTY),
  documents: refused(
    'the templates of the models here read no documents; put them into messages',
    EMPTY,
  ),
  media_io_kwargs: refused('how media are read is an option of the server', EMPTY),
  max_dynamic_patch: refused('not an option of the models here; see mm_processor_kwargs'),
  min_dynamic_patch: refused('not an option of the models here; see mm_processor_kwargs'),
  use_audio_in_video: refused('video is not supported', false),
} as const;
