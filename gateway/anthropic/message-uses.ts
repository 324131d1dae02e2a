import {
  alias,
  EMPTY,
  each,
  type FieldTable,
  fieldTable,
  HARMLESS,
  HONOURED,
  honouredObject,
  refused,
} from '#gateway/openai/fields/field-use.ts';

const NO_STORE = 'this server keeps no containers, files or threads';

/** Fields that a count of tokens has, too. */
const COUNTED = {
  // The translation judges what they hold.
  ...each(HONOURED, 'model', 'messages', 'system', 'tools', 'tool_choice'),
  thinking: honouredObject({
    type: HONOURED,
    display: HONOURED,
    budget_tokens: HONOURED,
  }),
  chat_template_kwargs: HONOURED,
  mm_processor_kwargs: HONOURED,
  output_config: honouredObject({
    // How hard to think is the model's own matter.
    effort: HARMLESS,
    format: honouredObject(each(HONOURED, 'type', 'schema')),
    task_budget: refused('not supported; give the request a max_tokens'),
  }),
  // The name of `output_config.format` before there was one.
  output_format: honouredObject(each(HONOURED, 'type', 'schema')),
  mcp_servers: refused('this server calls no other servers', EMPTY),
  context_management: refused('a conversation is taken as it is sent', EMPTY),
  // They say how to cache, bill or name, and change no answer.
  ...each(HARMLESS, 'cache_control', 'speed', 'metadata', 'service_tier', 'inference_geo', 'betas'),
  ...each(HARMLESS, 'user_profile_id', 'workspace_id', 'diagnostics'),
} as const;

/** Fields of `POST /v1/messages`. */
export const MESSAGE_USES: FieldTable = fieldTable({
  ...COUNTED,
  ...each(HONOURED, 'max_tokens', 'stop_sequences', 'stream', 'temperature', 'top_p', 'top_k'),
  container: refused(NO_STORE),
  stop: alias('stop_sequences', EMPTY),
  max_completion_tokens: alias('max_tokens'),
  prompt: alias('messages'),
});

/** Fields of `POST /v1/messages/count_tokens`. */
export const COUNT_USES: FieldTable = fieldTable(COUNTED);
