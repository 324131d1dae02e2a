import { dataUrl, PNG, WAV } from '#test/contract/gateway/media-files.ts';
import { below, type Fields, label, type Samples, sample } from './sample.ts';

const SCHEMA = { type: 'object', properties: { a: { type: 'integer' } } };
const TOOL = { type: 'function', name: 'tap' };
const TOOLS = [TOOL, { type: 'function', name: 'open' }];
const FORMAT = { type: 'json_schema', name: 'a', schema: SCHEMA };
const CALL = { type: 'function_call', call_id: 'a', name: 'tap', arguments: '{}' };
const RESULT = { type: 'function_call_output', call_id: 'a', output: 'ok' };
const ANSWER = { role: 'assistant', content: 'a' };
const THOUGHTS = { type: 'reasoning', summary: [{ type: 'summary_text', text: 'a' }] };

const otherPng = dataUrl('image/png', Buffer.concat([PNG, Buffer.of(0)]));
const wav = WAV.toString('base64');
const otherWav = Buffer.concat([WAV, Buffer.of(0)]).toString('base64');

const user = (content: unknown) => [{ role: 'user', content }];

/** Gives a call of a function with its result, and the same with something changed. */
function called(call: Fields, result: Fields = {}) {
  const changed = [
    { ...CALL, ...call },
    { ...RESULT, ...result },
  ];
  return { value: undefined, given: { input: [CALL, RESULT] }, changed: { input: changed } };
}

/** Samples of a part; `around` makes the input that has it. */
function partSamples(around: (part: object) => readonly object[]): Samples {
  const text = { input: around({ type: 'input_text', text: 'a' }) };
  const image = { type: 'input_image', image_url: dataUrl('image/png', PNG), detail: 'auto' };
  const audio = {
    input: around({ type: 'input_audio', input_audio: { data: wav, format: 'wav' } }),
  };
  return {
    type: label('output_text', text),
    text: sample('b', text),
    refusal: sample('b', { input: around({ type: 'refusal', refusal: 'a' }) }),
    image_url: sample(otherPng, { input: around(image) }),
    input_audio: sample({ data: otherWav }, audio),
    'input_audio.data': sample(otherWav, audio),
    'input_audio.format': label('mp3', audio),
  };
}

/** A sample of each field that a chat has not under the same name. */
export const RESPONSE_SAMPLES: Samples = {
  input: sample('ho'),
  'input.type': label('message', { input: user('hi') }),
  'input.role': sample('system', { input: user('hi') }),
  'input.content': sample('ho', { input: user('hi') }),
  ...below(
    'input.content',
    partSamples((part) => user([part])),
  ),
  'input.call_id': called({ call_id: 'b' }, { call_id: 'b' }),
  'input.name': called({ name: 'open' }),
  'input.arguments': called({ arguments: '{"a":1}' }),
  'input.output': called({}, { output: 'no' }),
  ...below(
    'input.output',
    partSamples((part) => [CALL, { ...RESULT, output: [part] }]),
  ),
  'input.summary': sample([], { input: [ANSWER, THOUGHTS] }),
  'input.summary.text': sample('b', { input: [THOUGHTS] }),
  instructions: sample('Be brief'),
  max_output_tokens: sample(3),
  top_logprobs: sample(2),
  include: sample(['message.output_text.logprobs']),
  metadata: sample({ a: 'b' }),
  stream: sample(true),
  tools: sample([TOOL]),
  'tools.type': label('function', { tools: [TOOL] }),
  'tools.name': sample('open', { tools: [TOOL] }),
  'tools.description': sample('Taps', { tools: [TOOL] }),
  'tools.parameters': sample(SCHEMA, { tools: [TOOL] }),
  'tools.strict': sample(true, { tools: [TOOL] }),
  tool_choice: sample({ type: 'allowed_tools', mode: 'auto', tools: [TOOL] }, { tools: TOOLS }),
  parallel_tool_calls: sample(false, { tools: [TOOL] }),
  chat_template_kwargs: sample({ a: 1 }),
  mm_processor_kwargs: sample(
    { max_pixels: 50_000 },
    { input: user([{ type: 'input_image', image_url: dataUrl('image/png', PNG) }]) },
  ),
  text: sample({ format: { type: 'json_object' } }),
  'text.format': sample({ type: 'json_object' }),
  'text.format.type': sample('json_object', { text: { format: { type: 'text' } } }),
  'text.format.schema': sample({ type: 'array' }, { text: { format: FORMAT } }),
  'text.format.name': label('b', { text: { format: FORMAT } }),
  'text.format.strict': label(false, { text: { format: FORMAT } }),
  reasoning: sample({ effort: 'none' }),
  'reasoning.effort': sample('none'),
};
