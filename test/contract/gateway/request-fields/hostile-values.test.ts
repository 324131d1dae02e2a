import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isRecord } from '#mesh/json-value.ts';
import { FakeBackbone } from '#test/contract/gateway/fake-backbone.ts';
import { type Harness, jsonOf, startHarness } from '#test/contract/gateway/harness.ts';
import { dataUrl, PNG, WAV } from '#test/contract/gateway/media-files.ts';
import { answering } from './answering.ts';

/** Longest time of an answer, milliseconds; what takes that long is not bounded. */
const MAX_MS = 5000;
/** Requests at the same time. */
const NUM_AT_ONCE = 8;

const SCHEMA = {
  type: 'object',
  properties: { a: { type: 'string', pattern: '^[ab]$' }, b: { $ref: '#/$defs/b' } },
  required: ['a'],
  $defs: { b: { anyOf: [{ type: 'integer', minimum: 0 }, { enum: ['x', 1] }] } },
};
const CALL = { id: 'a', type: 'function', function: { name: 'tap', arguments: '{"a":"b"}' } };
const IMAGE = { type: 'image_url', image_url: { url: dataUrl('image/png', PNG), detail: 'auto' } };
const AUDIO = {
  type: 'input_audio',
  input_audio: { data: WAV.toString('base64'), format: 'wav' },
};
const MESSAGES = [
  { role: 'system', content: 'x' },
  { role: 'user', content: [{ type: 'text', text: 'hi' }, IMAGE, AUDIO] },
  { role: 'assistant', content: null, reasoning: 'hm', tool_calls: [CALL] },
  { role: 'tool', tool_call_id: 'a', content: 'ok' },
];
const TOOLS = [{ type: 'function', function: { name: 'tap', parameters: {}, strict: true } }];
const ITEMS = [
  {
    role: 'user',
    content: [
      { type: 'input_text', text: 'hi' },
      { type: 'input_image', image_url: dataUrl('image/png', PNG), detail: 'auto' },
      AUDIO,
    ],
  },
  { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
  { type: 'function_call', call_id: 'a', name: 'tap', arguments: '{"a":"b"}' },
  { type: 'function_call_output', call_id: 'a', output: [{ type: 'input_text', text: 'ok' }] },
];
const CLAUDE = {
  model: 'phone-nano',
  system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'hi' },
        {
          type: 'image',
          source: { type: 'base64', media_type: 'image/png', data: PNG.toString('base64') },
        },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'hm', signature: '' },
        { type: 'tool_use', id: 'a', name: 'tap', input: { a: 'b' } },
      ],
    },
    {
      role: 'user',
      content: [{ type: 'tool_result', tool_use_id: 'a', content: [{ type: 'text', text: 'ok' }] }],
    },
  ],
  tools: [{ name: 'tap', description: 'Taps', input_schema: SCHEMA, strict: true }],
  tool_choice: { type: 'tool', name: 'tap', disable_parallel_tool_use: true },
  thinking: { type: 'disabled' },
};

/** Requests that are answered, with as much in them as their routes take. */
const REQUESTS: readonly (readonly [path: string, body: unknown])[] = [
  [
    '/v1/chat/completions',
    {
      model: 'phone-nano',
      messages: MESSAGES,
      tools: TOOLS,
      tool_choice: { type: 'function', function: { name: 'tap' } },
      stream: true,
      stream_options: { include_usage: true },
      thinking: { type: 'disabled' },
      chat_template_kwargs: { a: 1 },
      mm_processor_kwargs: { max_pixels: 50_000 },
    },
  ],
  [
    '/v1/chat/completions',
    {
      messages: [{ role: 'user', content: 'hi' }],
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema: SCHEMA } },
      logit_bias: { 5: 1 },
      stop: ['x'],
      logprobs: true,
      top_logprobs: 1,
    },
  ],
  [
    '/v1/completions',
    {
      prompt: ['a', [1, 2]],
      structured_outputs: { regex: '[ab]' },
      stop_token_ids: [1],
      bad_words: ['x'],
      max_tokens: 3,
    },
  ],
  ['/v1/embeddings', { input: ['a', [1, 2]], encoding_format: 'base64', pooling: 'mean' }],
  ['/v1/embeddings', { messages: [{ role: 'user', content: [IMAGE] }] }],
  [
    '/v1/responses',
    {
      model: 'phone-nano',
      instructions: 'x',
      input: ITEMS,
      tools: [{ type: 'function', name: 'tap', parameters: {}, strict: true }],
      tool_choice: {
        type: 'allowed_tools',
        mode: 'auto',
        tools: [{ type: 'function', name: 'tap' }],
      },
      metadata: { a: 'b' },
      reasoning: { effort: 'none' },
      include: ['message.output_text.logprobs'],
      stream: true,
    },
  ],
  [
    '/v1/responses',
    {
      input: 'hi',
      text: { format: { type: 'json_schema', name: 'a', schema: SCHEMA, strict: true } },
      top_logprobs: 2,
    },
  ],
  ['/v1/messages', { ...CLAUDE, max_tokens: 5, stop_sequences: ['x'], stream: true }],
  [
    '/v1/messages/count_tokens',
    { model: 'phone-nano', messages: [{ role: 'user', content: 'hi' }] },
  ],
];

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

/** Values, as JSON, that stand in turn for each value of a request. */
const VALUES = [
  'null',
  '[]',
  '{}',
  '1e308',
  '"NaN"',
  '[null]',
  '{"__proto__":{"a":1},"constructor":{"prototype":1},"toString":2}',
  '"\\u0000\\ud800"',
  nested(15),
];

/** Values that are too much of something. */
const LARGE = [
  nested(5000),
  `"${'x'.repeat(2_000_000)}"`,
  `[${Array(100_000).fill('{}').join()}]`,
  `[${Array(100_000).fill('"a"').join()}]`,
];

type Path = readonly (string | number)[];

/** Yields the path of every value in a value. */
function* pathsIn(value: unknown, at: Path = []): Generator<Path> {
  if (at.length > 0) yield at;
  if (typeof value !== 'object' || value === null) return;
  for (const [name, inner] of Object.entries(value)) yield* pathsIn(inner, [...at, name]);
}

/** Writes a body with other JSON at a path. */
function bodyWith(body: unknown, path: Path, json: string): string {
  const copy: unknown = structuredClone(body);
  let place = copy;
  for (const step of path.slice(0, -1)) place = Reflect.get(Object(place), step);
  Reflect.set(Object(place), path.at(-1) ?? '', 'HERE');
  return JSON.stringify(copy).replace('"HERE"', () => json);
}

let harness: Harness;
before(async () => {
  const backbone = new FakeBackbone();
  backbone.script = answering;
  harness = await startHarness({ backbones: [backbone] });
});
after(() => harness.close());

/** Sends a body and checks that it is answered, or refused in the words of its API. */
async function probe(path: string, body: string, what: string): Promise<void> {
  const startMs = performance.now();
  const response = await harness.post(path, body);
  const text = await response.text();
  assert(performance.now() - startMs < MAX_MS, `${what} took too long`);
  if (response.status === 200) {
    assert(!/"error":(?!null)|"type":"error"/.test(text), `${what}: ${text}`);
    return;
  }
  assert(response.status < 500 && response.status !== 429, `${what}: ${response.status} ${text}`);
  const answer: unknown = JSON.parse(text);
  assert(isRecord(answer) && isRecord(answer['error']), `${what}: ${text}`);
  const { type, message, code } = answer['error'];
  assert(typeof type === 'string' && typeof message === 'string', what);
  assert(message.length < 1000, `${what}: ${message.length} characters`);
  if (path.startsWith('/v1/messages')) assert.equal(answer['type'], 'error', what);
  else assert.equal(typeof code, 'string', what);
}

describe('A request with a value of the wrong kind', () => {
  for (const [path, body] of REQUESTS) {
    const fields = Object.keys(Object(body));

    it(`anywhere in ${fields} is answered by ${path}, or refused in its words`, async () => {
      assert.equal((await harness.post(path, body)).status, 200);
      const cases = [...pathsIn(body)].flatMap((at) => VALUES.map((json) => ({ at, json })));
      const next = cases.values();
      const run = async () => {
        for (const { at, json } of next) {
          await probe(path, bodyWith(body, at, json), `${at.join('.')} as ${json}`);
        }
      };
      await Promise.all(Array.from({ length: NUM_AT_ONCE }, run));
    });

    it(`too large, in each of ${fields}, is refused by ${path} in its words`, async () => {
      for (const field of fields) {
        for (const [i, json] of LARGE.entries()) {
          await probe(path, bodyWith(body, [field], json), `${field} as large value ${i}`);
        }
      }
    });
  }

  it('leaves the gateway as it was', async () => {
    assert.equal((await jsonOf(await harness.get('/health')))['status'], 'ready');
  });
});
