import { alias, EMPTY, each, HONOURED, harmless, honouredObject, refused } from './field-use.ts';
import { MESSAGE_USES } from './message-uses.ts';

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
    budget_tokens: HONOURED,
    clear_thinking: HONOURED,
  }),
  reasoning: honouredObject({
    effort: HONOURED,
    enabled: HONOURED,
    enable: HONOURED,
    exclude: HONOURED,
    max_tokens: HONOURED,
    ...each(harmless('thoughts are sent whole'), 'summary', 'generate_summary'),
  }),
  think: alias('enable_thinking'),
  ...each(
    harmless('the tags of thoughts are those of the tokenizer'),
    'reasoning_budget_start_tag',
    'reasoning_budget_end_tag',
    'reasoning_budget_end_tags',
    'reasoning_budget_message',
  ),
  reasoning_control: refused('thoughts are bounded by thinking_token_budget alone', false),
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
