import { CONSTRAINT_USES } from '#gateway/openai/fields/constraint-uses.ts';
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
import { SAME_FIELDS } from './same-fields.ts';

const NO_STORE = 'this server keeps no responses; send every item with each request';
const FOREIGN_ITEM = harmless('it belongs to types of items that are refused');
const FOREIGN_TOOL = harmless('it belongs to types of tools that are refused');
const COMES_BACK = harmless('it comes back with an answer and is not read');
const NO_MARKS = harmless('prompts are cached without marks');

const isCalledDirectly = (value: unknown) =>
  Array.isArray(value) && value.every((one) => one === 'direct');

/** Fields of a part; the translation judges its type. */
const PART = {
  ...each(HONOURED, 'type', 'text', 'refusal', 'image_url'),
  file_id: refused('this server keeps no files; send the image as image_url'),
  input_audio: honouredObject(each(HONOURED, 'data', 'format')),
  detail: harmless('the size of an image is that of mm_processor_kwargs'),
  prompt_cache_breakpoint: NO_MARKS,
  ...each(COMES_BACK, 'annotations', 'logprobs', 'parsed'),
  ...each(FOREIGN_ITEM, 'file_data', 'file_url', 'filename'),
} as const;

/** Fields of an item; the translation judges its type. */
const ITEM = {
  ...each(HONOURED, 'type', 'role', 'call_id', 'name', 'arguments'),
  content: honouredObject(PART),
  output: honouredObject({ ...PART, ...each(FOREIGN_ITEM, 'outcome', 'stderr', 'stdout') }),
  summary: honouredObject({ type: COMES_BACK, text: HONOURED }),
  encrypted_content: refused('thoughts are sent and taken as text; send their content', EMPTY),
  ...each(COMES_BACK, 'id', 'status', 'phase', 'parsed_arguments', 'created_by'),
  caller: harmless('every call is one of the client'),
  namespace: harmless('functions are called by their names'),
  ...each(
    FOREIGN_ITEM,
    'acknowledged_safety_checks',
    'action',
    'actions',
    'approval_request_id',
    'approve',
    'code',
    'container_id',
    'environment',
    'error',
    'execution',
    'fingerprint',
    'input',
    'max_output_length',
    'operation',
    'outputs',
    'pending_safety_checks',
    'queries',
    'reason',
    'result',
    'results',
    'server_label',
    'tools',
  ),
} as const;

/** Fields of a tool. */
const TOOL = {
  ...each(HONOURED, 'type', 'name', 'description', 'parameters', 'strict'),
  defer_loading: harmless('every tool is in the prompt'),
  output_schema: refused('no template here has a place for it; describe the tool', EMPTY),
  allowed_callers: refusedUnless(
    isCalledDirectly,
    'tools are called by the client; only ["direct"] is accepted',
  ),
  ...each(
    FOREIGN_TOOL,
    'action',
    'allowed_tools',
    'authorization',
    'background',
    'connector_id',
    'container',
    'display_height',
    'display_width',
    'environment',
    'execution',
    'filters',
    'format',
    'headers',
    'input_fidelity',
    'input_image_mask',
    'max_num_results',
    'model',
    'moderation',
    'output_compression',
    'output_format',
    'partial_images',
    'quality',
    'ranking_options',
    'require_approval',
    'search_content_types',
    'search_context_size',
    'server_description',
    'server_label',
    'server_url',
    'size',
    'tools',
    'tunnel_id',
    'user_location',
    'vector_store_ids',
  ),
} as const;

/** Fields of `POST /v1/responses`: those of OpenAI, and what vLLM adds to them. */
export const RESPONSE_USES: FieldTable = fieldTable({
  ...each(
    HONOURED,
    ...SAME_FIELDS,
    'instructions',
    'max_output_tokens',
    'top_logprobs',
    'include',
    'metadata',
    'tool_choice',
  ),
  input: honouredObject(ITEM),
  tools: honouredObject(TOOL),
  text: honouredObject({
    format: honouredObject({
      ...each(HONOURED, 'type', 'name', 'schema', 'strict'),
      description: harmless('a form is its schema alone'),
    }),
    verbosity: refused('the models here have no verbosity; only "medium" is accepted', 'medium'),
  }),
  structured_outputs: CONSTRAINT_USES.structured_outputs,
  reasoning: honouredObject({
    effort: HONOURED,
    ...each(harmless('thoughts are sent whole'), 'summary', 'generate_summary'),
    context: refused('which thoughts count is a matter of the template', 'auto'),
    mode: refused('the models here have one mode', 'standard'),
  }),
  background: refused(`${NO_STORE}, and wait for its answer`, false),
  ...each(refused(NO_STORE), 'previous_response_id', 'conversation'),
  previous_input_messages: refused(NO_STORE, EMPTY),
  prompt: refused('this server keeps no prompts; send instructions and input'),
  context_management: refused('a conversation is taken as it is sent', EMPTY),
  truncation: refused('a conversation is taken whole; only "disabled" is accepted', 'disabled'),
  moderation: refused('answers are not moderated'),
  store: harmless('no answer is stored; each says so'),
  stream_options: harmless('events are never padded'),
  max_tool_calls: harmless('it counts the calls of tools that the server runs, and there are none'),
  service_tier: harmless('there is one tier; see priority'),
  ...each(
    harmless('how long prompts are cached is an option of the server'),
    'prompt_cache_key',
    'prompt_cache_options',
    'prompt_cache_retention',
  ),
  ...each(harmless('it names the asker, and changes no answer'), 'user', 'safety_identifier'),
  enable_response_messages: refused('not part of the answers of this server', false),
  skip_special_tokens: refused('special tokens are never part of an answer here', true),
  include_stop_str_in_output: refused('a text ends before its stop', false),
  media_io_kwargs: refused('how media are read is an option of the server', EMPTY),
  vllm_xargs: refused('extensions of other servers are not known', EMPTY),
  kv_transfer_params: refused('this server hands no cache to other servers', EMPTY),
  n: refused('a response has one answer', 1),
  messages: alias('input'),
  max_tokens: alias('max_output_tokens'),
  max_completion_tokens: alias('max_output_tokens'),
  response_format: alias('text.format'),
  reasoning_effort: alias('reasoning.effort'),
  logprobs: alias('top_logprobs, or include', false),
});
