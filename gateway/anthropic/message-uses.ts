import {
  alias,
  EMPTY,
  each,
  type FieldTable,
  fieldTable,
  HONOURED,
  harmless,
  honouredObject,
  refused,
  refusedUnless,
} from '#gateway/openai/fields/field-use.ts';
import { NO_MARKS } from '#gateway/openai/fields/message-uses.ts';
import { FOREIGN_TOOL, TRANSLATED_TOOL_USES } from '#gateway/openai/fields/tool-uses.ts';
import { isRecord } from '#mesh/json-value.ts';

const NO_CONTEXT = 'a conversation is taken as it is sent';
const FOREIGN_BLOCK = harmless('it belongs to types of blocks that are refused');
const NO_STORE = 'this server keeps no containers, files or threads';

const isScaledDown = (value: unknown) =>
  isRecord(value) && (value['oversized_image'] ?? 'downsize') === 'downsize';

/** Fields of a block of a system text. */
const SYSTEM_BLOCK = {
  ...each(HONOURED, 'type', 'text'),
  source: honouredObject({
    ...each(HONOURED, 'type', 'media_type', 'data', 'url'),
    ...each(FOREIGN_BLOCK, 'content', 'file_id'),
  }),
  transformations: refusedUnless(
    isScaledDown,
    'an image that is too large is scaled down; only "downsize" is accepted',
  ),
  cache_control: NO_MARKS,
  citations: harmless('answers cite nothing'),
} as const;

/** Fields of a block of a message; the translation judges its type. */
const BLOCK = {
  ...SYSTEM_BLOCK,
  ...each(HONOURED, 'thinking', 'id', 'name', 'input', 'tool_use_id', 'content'),
  is_error: harmless('the content says what went wrong'),
  signature: harmless('thoughts are taken as they are sent back'),
  ...each(harmless('every call is one of the client'), 'caller', 'toolset_name'),
  ...each(
    FOREIGN_BLOCK,
    'context',
    'data',
    'encrypted_content',
    'file_id',
    'from',
    'mcp_server_name',
    'server_name',
    'title',
    'to',
    'tool',
    'tool_changes',
    'tools',
    'trigger',
  ),
} as const;

/** Fields of a tool. */
const TOOL = {
  ...each(HONOURED, 'type', 'name', 'description', 'input_schema', 'strict'),
  cache_control: NO_MARKS,
  ...TRANSLATED_TOOL_USES,
  eager_input_streaming: harmless('arguments are sent as they come'),
  input_examples: refused('no template here has a place for examples; describe the tool', EMPTY),
  ...each(
    FOREIGN_TOOL,
    'allowed_domains',
    'blocked_domains',
    'caching',
    'citations',
    'configs',
    'default_config',
    'display_height_px',
    'display_number',
    'display_width_px',
    'enable_zoom',
    'max_characters',
    'max_content_tokens',
    'max_tokens',
    'max_uses',
    'mcp_server_name',
    'model',
    'response_inclusion',
    'tools',
    'url_sources',
    'use_cache',
    'user_location',
  ),
} as const;

/** Fields that a count of tokens has, too. */
const COUNTED = {
  model: HONOURED,
  messages: honouredObject({
    role: HONOURED,
    content: honouredObject(BLOCK),
    ...each(refused(NO_CONTEXT), 'clear_at', 'output_config'),
  }),
  system: honouredObject(SYSTEM_BLOCK),
  tools: honouredObject(TOOL),
  tool_choice: honouredObject(each(HONOURED, 'type', 'name', 'disable_parallel_tool_use')),
  thinking: honouredObject({
    type: HONOURED,
    display: HONOURED,
    budget_tokens: HONOURED,
    block_binding: harmless('thoughts are taken as they are sent back'),
  }),
  chat_template_kwargs: HONOURED,
  mm_processor_kwargs: HONOURED,
  output_config: honouredObject({
    effort: harmless('how hard to think is the matter of the model'),
    format: honouredObject(each(HONOURED, 'type', 'schema')),
    task_budget: refused('not supported; give the request a max_tokens'),
  }),
  // The name of `output_config.format` before there was one.
  output_format: honouredObject(each(HONOURED, 'type', 'schema')),
  mcp_servers: refused('this server calls no other servers', EMPTY),
  context_management: refused(NO_CONTEXT, EMPTY),
  cache_control: NO_MARKS,
  ...each(
    harmless('it says where and at which price to compute'),
    'speed',
    'service_tier',
    'inference_geo',
  ),
  ...each(
    harmless('it names the asker, and changes no answer'),
    'metadata',
    'user_profile_id',
    'workspace_id',
  ),
  betas: harmless('what this server can do is on without being asked for'),
  diagnostics: harmless('it asks for no other answer'),
  billing_policy: harmless('nothing is billed'),
  compaction: refused(NO_CONTEXT),
} as const;

/** Fields of `POST /v1/messages`. */
export const MESSAGE_USES: FieldTable = fieldTable({
  ...COUNTED,
  ...each(HONOURED, 'max_tokens', 'stop_sequences', 'stream', 'temperature', 'top_p', 'top_k'),
  container: refused(NO_STORE),
  thread: refused(NO_STORE),
  fallbacks: refused('fallback models are an option of the server; see fallback-model', EMPTY),
  fallback_credit_token: harmless('nothing is billed'),
  stop: alias('stop_sequences', EMPTY),
  max_completion_tokens: alias('max_tokens'),
  prompt: alias('messages'),
});

/** Fields of `POST /v1/messages/count_tokens`. */
export const COUNT_USES: FieldTable = fieldTable(COUNTED);
