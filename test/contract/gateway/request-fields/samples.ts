import { dataUrl, PNG, WAV } from '#test/contract/gateway/media-files.ts';
import { RESPONSE_SAMPLES } from './response-samples.ts';
import { all, below, type Fields, label, type Samples, sample } from './sample.ts';

const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } };
const JSON_SCHEMA = { type: 'json_schema', json_schema: { name: 'a', schema: SCHEMA } };
const TAG = {
  type: 'structural_tag',
  structures: [{ begin: '<a>', schema: SCHEMA, end: '</a>' }],
  triggers: ['<a>'],
};
const CALL = { id: 'a', type: 'function', function: { name: 'tap', arguments: '{}' } };
const TOOL = { type: 'function', function: { name: 'tap' } };

const user = (content: unknown) => [{ role: 'user', content }];
const image = { type: 'image_url', image_url: { url: dataUrl('image/png', PNG) } };
const audio = { type: 'input_audio', input_audio: { data: WAV.toString('base64'), format: 'wav' } };
const audioUrl = { type: 'audio_url', audio_url: { url: dataUrl('audio/wav', WAV) } };
const otherPng = `data:image/png;base64,${Buffer.concat([PNG, Buffer.of(0)]).toString('base64')}`;
const otherWav = Buffer.concat([WAV, Buffer.of(0)]).toString('base64');

const SERVING: Samples = {
  model: sample('nano-two'),
  request_id: sample('req-1'),
  cache_salt: sample('salt'),
  priority: sample(1),
};

const SAMPLER: Samples = {
  temperature: sample(0.5),
  top_p: sample(0.5),
  top_k: sample(5),
  min_p: sample(0.25),
  repetition_penalty: sample(1.5),
  presence_penalty: sample(0.5),
  frequency_penalty: sample(0.5),
  seed: sample(7),
};

const ANSWER: Samples = {
  ...SERVING,
  ...SAMPLER,
  logit_bias: sample({ 1: 1 }),
  allowed_token_ids: sample([1]),
  bad_words: sample(['x']),
  min_tokens: sample(1),
  stop: sample('x'),
  stop_token_ids: sample([1]),
  ignore_eos: sample(true),
  n: sample(2),
  max_tokens: sample(3),
  prompt_logprobs: sample(1),
  thinking_token_budget: sample(5),
  stream: sample(true),
  stream_options: sample({ include_usage: true }, { stream: true }),
  'stream_options.include_obfuscation': sample(false, { stream: true }),
  'stream_options.include_usage': sample(true, { stream: true }),
  'stream_options.continuous_usage_stats': sample(true, { stream: true }),
  skip_special_tokens: sample(false),
  include_stop_str_in_output: sample(true),
  return_token_ids: sample(true),
  echo: sample(true),
  truncate_prompt_tokens: sample(5),
};

const STRUCTURED: Samples = {
  structured_outputs: sample({ regex: 'a+' }),
  'structured_outputs.json': sample(SCHEMA),
  'structured_outputs.json_object': sample(true),
  'structured_outputs.regex': sample('a+'),
  'structured_outputs.choice': sample(['a', 'b']),
  'structured_outputs.grammar': sample('root ::= "a"'),
  'structured_outputs.structural_tag': sample(TAG),
  'structured_outputs.phone_action': sample(true),
};

const FORMS: Samples = {
  response_format: sample({ type: 'json_object' }),
  'response_format.type': sample('json_object', { response_format: { type: 'text' } }),
  'response_format.format': sample({ type: 'any_text' }, { response_format: TAG }),
  'response_format.structures': sample([], { response_format: TAG }),
  'response_format.triggers': sample(['<b>'], { response_format: TAG }),
  'response_format.json_schema': sample(
    { name: 'b', schema: { type: 'array' } },
    { response_format: JSON_SCHEMA },
  ),
  'response_format.json_schema.schema': sample({ type: 'array' }, { response_format: JSON_SCHEMA }),
  'response_format.json_schema.name': label('b', { response_format: JSON_SCHEMA }),
  // A schema is enforced in any case.
  'response_format.json_schema.strict': label(false, { response_format: JSON_SCHEMA }),
  guided_json: sample(SCHEMA),
  guided_regex: sample('a+'),
  guided_choice: sample(['a', 'b']),
  guided_grammar: sample('root ::= "a"'),
  ...STRUCTURED,
};

const TOOLS: Samples = {
  tools: sample([TOOL]),
  'tools.type': label('function', { tools: [TOOL] }),
  'tools.function': sample({ name: 'open' }, { tools: [TOOL] }),
  'tools.function.name': sample('open', { tools: [TOOL] }),
  'tools.function.description': sample('Taps', { tools: [TOOL] }),
  'tools.function.parameters': sample(SCHEMA, { tools: [TOOL] }),
  'tools.function.strict': sample(true, { tools: [TOOL] }),
};

const ASKED = [...user('hi'), { role: 'assistant', tool_calls: [CALL] }];
const RESULT = { role: 'tool', content: 'ok' };

/** Fields of a conversation, whose first message is what the paths mean. */
const CONVERSATION: Samples = {
  messages: sample(user('ho')),
  'messages.role': sample('system'),
  'messages.name': sample('Ann'),
  'messages.metadata': sample('x'),
  'messages.content': sample('ho'),
  'messages.content.type': sample('refusal', {
    messages: user([{ type: 'text', text: 'a', refusal: 'b' }]),
  }),
  'messages.content.text': sample('b', { messages: user([{ type: 'text', text: 'a' }]) }),
  'messages.content.refusal': sample('b', { messages: user([{ type: 'refusal', refusal: 'a' }]) }),
  'messages.content.image_url': sample({ url: otherPng }, { messages: user([image]) }),
  'messages.content.image_url.url': sample(otherPng, { messages: user([image]) }),
  'messages.content.audio_url': sample(
    { url: `data:audio/wav;base64,${otherWav}` },
    { messages: user([audioUrl]) },
  ),
  'messages.content.audio_url.url': sample(`data:audio/wav;base64,${otherWav}`, {
    messages: user([audioUrl]),
  }),
  'messages.content.input_audio': sample({ data: otherWav }, { messages: user([audio]) }),
  'messages.content.input_audio.data': sample(otherWav, { messages: user([audio]) }),
  'messages.content.input_audio.format': label('mp3', { messages: user([audio]) }),
  'messages.reasoning': sample('hm', { messages: [{ role: 'assistant', content: 'a' }] }),
  'messages.reasoning_content': sample('hm', { messages: [{ role: 'assistant', content: 'a' }] }),
  'messages.tool_calls': sample([{ ...CALL, function: { name: 'open', arguments: '{}' } }], {
    messages: ASKED,
    continue_final_message: true,
  }),
  'messages.function_call': sample(
    { name: 'open', arguments: '{}' },
    { messages: ASKED, continue_final_message: true },
  ),
  'messages.tool_call_id': sample('a', { messages: [...ASKED, RESULT] }),
  add_generation_prompt: sample(false),
  continue_final_message: sample(true, {
    messages: [...user('hi'), { role: 'assistant', content: 'a' }],
  }),
  chat_template_kwargs: sample({ a: 1 }),
  mm_processor_kwargs: sample({ max_pixels: 50_000 }, { messages: user([image]) }),
  enable_thinking: sample(false),
  reasoning_effort: sample('none'),
  thinking: sample({ type: 'disabled' }),
  'thinking.type': sample('disabled'),
  'thinking.clear_thinking': sample(true),
  reasoning: sample({ enabled: false }),
  'reasoning.effort': sample('none'),
  'reasoning.enabled': sample(false),
  'reasoning.enable': sample(false),
};

/** The same where there are no answers. */
const NO_THOUGHTS: Samples = {
  'thinking.budget_tokens': label(5),
  'reasoning.max_tokens': label(5),
  'reasoning.exclude': label(true),
};

/** A budget of thoughts and where they go, which count for answers alone. */
const THOUGHTS: Samples = {
  'thinking.budget_tokens': sample(5),
  'reasoning.max_tokens': sample(5),
  'reasoning.exclude': sample(true),
  return_reasoning: sample(true),
  separate_reasoning: sample(true),
  include_reasoning: sample(true),
};

const CHAT_INSTEAD = { messages: user('hi') };

const ANTHROPIC_IMAGE = {
  type: 'image',
  source: { type: 'base64', media_type: 'image/png', data: PNG.toString('base64') },
};

const MESSAGE_TOOL = { name: 'tap', input_schema: SCHEMA };
/** Samples of the source of an image; `around` makes the request that has it. */
function imageSamples(around: (image: object) => Fields): Samples {
  const { source } = ANTHROPIC_IMAGE;
  const data = otherPng.split(',')[1];
  const given = around(ANTHROPIC_IMAGE);
  const byUrl = { type: 'image', source: { type: 'url', url: dataUrl('image/png', PNG) } };
  return {
    source: sample({ ...source, data }, given),
    'source.type': label('base64', given),
    'source.media_type': label('image/gif', given),
    'source.data': sample(data, given),
    'source.url': sample(otherPng, around(byUrl)),
  };
}

/** Gives a call of a tool with its result, and the same with something changed. */
function called(change: { id?: string; name?: string; input?: object; content?: string }) {
  const talk = ({ id = 'a', name = 'tap', input = {}, content = 'ok' }: typeof change) => [
    { role: 'assistant', content: [{ type: 'tool_use', id, name, input }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content }] },
  ];
  return { given: { messages: talk({}) }, changed: { messages: talk(change) } };
}

const FORM = { type: 'json_schema', schema: SCHEMA };
const OTHER_SCHEMA = { type: 'array' };

/** The form of an answer, which a count of tokens takes and does not need. */
const COUNTED_FORMS: Samples = {
  output_config: label({}),
  'output_config.format': label(FORM),
  'output_config.format.type': label('json_schema', { output_config: { format: FORM } }),
  'output_config.format.schema': label(OTHER_SCHEMA, { output_config: { format: FORM } }),
  output_format: label(FORM),
  'output_format.type': label('json_schema', { output_format: FORM }),
  'output_format.schema': label(OTHER_SCHEMA, { output_format: FORM }),
};

const CHOSEN_TOOL = {
  tools: [MESSAGE_TOOL, { ...MESSAGE_TOOL, name: 'open' }],
  tool_choice: { type: 'tool', name: 'tap' },
};
const SYSTEM = [{ type: 'text', text: 'a' }];

/** Fields of Anthropic's requests that a count of tokens has, too. */
const COUNTED: Samples = {
  model: sample('nano-two'),
  messages: sample(user('ho')),
  'messages.role': sample('assistant'),
  'messages.content': sample('ho'),
  'messages.content.type': label('text', { messages: user([{ type: 'text', text: 'a' }]) }),
  'messages.content.text': sample('b', { messages: user([{ type: 'text', text: 'a' }]) }),
  ...below(
    'messages.content',
    imageSamples((one) => ({ messages: user([one]) })),
  ),
  'messages.content.id': { value: undefined, ...called({ id: 'b' }) },
  'messages.content.tool_use_id': { value: undefined, ...called({ id: 'b' }) },
  'messages.content.name': { value: undefined, ...called({ name: 'open' }) },
  'messages.content.input': { value: undefined, ...called({ input: { a: 1 } }) },
  'messages.content.content': { value: undefined, ...called({ content: 'no' }) },
  'messages.content.thinking': sample('b', {
    messages: [{ role: 'assistant', content: [{ type: 'thinking', thinking: 'a' }] }],
  }),
  system: sample('Be brief'),
  'system.type': label('text', { system: SYSTEM }),
  'system.text': sample('b', { system: SYSTEM }),
  ...below(
    'system',
    imageSamples((one) => ({ system: [one] })),
  ),
  tools: sample([MESSAGE_TOOL]),
  'tools.type': label('custom', { tools: [MESSAGE_TOOL] }),
  'tools.name': sample('open', { tools: [MESSAGE_TOOL] }),
  'tools.description': sample('Taps', { tools: [MESSAGE_TOOL] }),
  'tools.input_schema': sample({ type: 'object' }, { tools: [MESSAGE_TOOL] }),
  'tools.strict': sample(true, { tools: [MESSAGE_TOOL] }),
  thinking: sample({ type: 'disabled' }),
  'thinking.type': sample('disabled'),
  chat_template_kwargs: sample({ a: 1 }),
  tool_choice: sample({ type: 'none' }, { tools: [MESSAGE_TOOL] }),
  'tool_choice.type': sample('none', { tools: [MESSAGE_TOOL], tool_choice: { type: 'auto' } }),
  'tool_choice.name': sample('open', CHOSEN_TOOL),
  'tool_choice.disable_parallel_tool_use': sample(true, CHOSEN_TOOL),
  mm_processor_kwargs: sample({ max_pixels: 50_000 }, { messages: user([ANTHROPIC_IMAGE]) }),
  ...COUNTED_FORMS,
};

/** A sample of every honoured field, by route. */
export const SAMPLES: Readonly<Record<string, Samples>> = {
  '/v1/chat/completions': {
    ...ANSWER,
    ...FORMS,
    ...TOOLS,
    ...CONVERSATION,
    ...THOUGHTS,
    tool_choice: sample('none', { tools: [TOOL] }),
    parallel_tool_calls: sample(false, { tools: [TOOL] }),
    max_completion_tokens: sample(3),
    logprobs: sample(true),
    top_logprobs: sample(2, { logprobs: true }),
    return_tokens_as_token_ids: sample(true, { logprobs: true }),
    echo: sample(true, {
      messages: [...user('hi'), { role: 'assistant', content: 'a' }],
      continue_final_message: true,
    }),
  },
  '/v1/completions': {
    ...ANSWER,
    ...FORMS,
    prompt: sample([1, 2]),
    add_special_tokens: sample(false),
    logprobs: sample(1),
    return_tokens_as_token_ids: sample(true, { logprobs: 1 }),
  },
  '/v1/embeddings': {
    ...SERVING,
    ...all({ input: undefined, ...CHAT_INSTEAD }, { ...CONVERSATION, ...NO_THOUGHTS }),
    input: sample('ho'),
    encoding_format: sample('base64'),
    dimensions: sample(1),
    pooling: sample('mean'),
    normalize: sample(false),
    truncate_prompt_tokens: sample(5),
    add_special_tokens: sample(false),
    add_generation_prompt: sample(true, { input: undefined, ...CHAT_INSTEAD }),
  },
  '/v1/responses': {
    ...SERVING,
    ...SAMPLER,
    ...STRUCTURED,
    ...RESPONSE_SAMPLES,
    logit_bias: sample({ 1: 1 }),
    stop: sample('x'),
    ignore_eos: sample(true),
  },
  '/v1/messages': {
    ...COUNTED,
    max_tokens: sample(3),
    stop_sequences: sample(['x']),
    stream: sample(true),
    temperature: sample(0.5),
    top_p: sample(0.5),
    top_k: sample(5),
    output_config: sample({ format: FORM }),
    'output_config.format': sample(FORM),
    'output_config.format.schema': sample(OTHER_SCHEMA, { output_config: { format: FORM } }),
    output_format: sample(FORM),
    'output_format.schema': sample(OTHER_SCHEMA, { output_format: FORM }),
    'thinking.budget_tokens': sample(1024, { thinking: { type: 'enabled' } }),
    'thinking.display': sample('omitted', { thinking: { type: 'enabled' } }),
  },
  '/v1/messages/count_tokens': {
    ...COUNTED,
    'thinking.budget_tokens': label(1024),
    'thinking.display': label('omitted'),
    'tool_choice.name': label('open', CHOSEN_TOOL),
    'tool_choice.disable_parallel_tool_use': label(true, CHOSEN_TOOL),
  },
  '/v1/audio/transcriptions': {
    ...SERVING,
    ...SAMPLER,
    file: sample(Buffer.concat([WAV, Buffer.of(0)])),
    // Hints, which no model here takes.
    language: label('en'),
    timestamp_granularities: label('segment', { response_format: 'verbose_json' }),
    instruction: sample('Write it down'),
    max_completion_tokens: sample(3),
    response_format: sample('text'),
    stream: sample('true'),
  },
  '/tokenize': {
    ...all({ prompt: undefined, ...CHAT_INSTEAD }, { ...CONVERSATION, ...TOOLS, ...NO_THOUGHTS }),
    model: sample('nano-two'),
    prompt: sample('ho'),
    add_special_tokens: sample(false),
    return_token_strs: sample(true),
  },
  '/detokenize': { model: sample('nano-two'), tokens: sample([2]) },
};
