import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fastify from 'fastify';
import { BodyMemory } from '#gateway/http/body/body-memory.ts';
import { acceptJson } from '#gateway/http/body/json-body.ts';
import { JsonParser } from '#gateway/http/body/json-parser.ts';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import { parseCompletionRequest } from '#gateway/openai/request/completion-request.ts';
import {
  parseDetokenizeRequest,
  parseTokenizeRequest,
} from '#gateway/openai/request/tokenize-request.ts';
import { systemClock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';

const CHAT = {
  model: 'phone-nano',
  messages: [
    { role: 'system', content: 'You operate a phone.' },
    {
      role: 'user',
      content: [
        {
          type: 'image_url',
          image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' },
        },
        { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
        { type: 'text', text: 'What now?' },
      ],
    },
    { role: 'assistant', content: 'do(action="Tap")', name: 'agent' },
    { role: 'user', content: '继续' },
  ],
  stream: true,
  stream_options: { include_usage: true },
  temperature: 0.5,
  top_p: 0.85,
  top_k: 4,
  min_p: 0.1,
  frequency_penalty: 0.2,
  presence_penalty: -1,
  repetition_penalty: 1.1,
  logit_bias: { 5: -100 },
  logprobs: true,
  top_logprobs: 2,
  seed: 7,
  n: 2,
  stop: ['end', '\n'],
  stop_token_ids: [9],
  max_tokens: 16,
  min_tokens: 1,
  bad_words: ['no'],
  ignore_eos: false,
  chat_template_kwargs: { enable_thinking: false },
  user: 'someone',
  metadata: { a: 'b' },
};
const COMPLETION = {
  prompt: ['one', 'two'],
  echo: true,
  logprobs: 2,
  suffix: '',
  max_tokens: 4,
  best_of: 1,
  stop: 'x',
};
const TOKENIZE = { prompt: 'Hi', add_special_tokens: true, return_token_strs: true };
const DETOKENIZE = { tokens: [1, 2, 3] };

interface Schema {
  readonly name: string;
  readonly body: object;
  readonly parse: (json: unknown) => unknown;
}

const SCHEMAS: readonly Schema[] = [
  { name: 'chat', body: CHAT, parse: parseChatRequest },
  { name: 'completion', body: COMPLETION, parse: parseCompletionRequest },
  { name: 'tokenize', body: TOKENIZE, parse: parseTokenizeRequest },
  { name: 'detokenize', body: DETOKENIZE, parse: parseDetokenizeRequest },
];

/** Values that stand where others are expected, as JSON. */
const ODD_VALUES: readonly string[] = [
  'null',
  'true',
  '-1',
  '0.5',
  '1e400',
  '9007199254740993',
  '""',
  '"\\ud800"',
  '"__proto__"',
  '[]',
  '[null]',
  '{}',
  '{"__proto__":{"a":1},"toString":1,"length":-1}',
  `${'['.repeat(90)}${']'.repeat(90)}`,
];

/** Returns the body as JSON with the value at each path replaced by each odd value. */
function* oddBodies(body: object): Generator<string> {
  const mark = '\u0000odd';
  for (const path of pathsOf(body)) {
    const text = JSON.stringify(replaced(body, path, mark));
    for (const odd of ODD_VALUES) yield text.replace(JSON.stringify(mark), () => odd);
  }
}

function pathsOf(value: unknown): string[][] {
  if (typeof value !== 'object' || value === null) return [[]];
  const inner = Object.entries(value).flatMap(([key, one]) =>
    pathsOf(one).map((path) => [key, ...path]),
  );
  return [[], ...inner];
}

function replaced(value: unknown, path: readonly string[], by: string): unknown {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== 'object' || value === null) return by;
  if (Array.isArray(value)) {
    return value.map((one: unknown, i) => (String(i) === key ? replaced(one, rest, by) : one));
  }
  const entries: [string, unknown][] = Object.entries(value);
  return Object.fromEntries(
    entries.map(([name, one]) => [name, name === key ? replaced(one, rest, by) : one]),
  );
}

/** Reads bodies as the gateway does; a refusal in our words is false. */
function reader(parse: Schema['parse']): (body: Buffer) => Promise<boolean> {
  const app = fastify();
  const memory = new BodyMemory({
    maxBytes: Infinity,
    maxUnfinishedBytes: Infinity,
    clock: systemClock,
    clientOf: () => '',
  });
  const receive = { maxBytes: 1 << 16, memory, pace: { windowMs: 60_000, clock: systemClock } };
  acceptJson(app, { receive, parser: new JsonParser(), maxValues: 1000, maxDepth: 100 });
  let thrown: unknown;
  app.post('/', (request) => {
    parse(request.body);
    return {};
  });
  app.setErrorHandler((error, _, reply) => {
    thrown = error;
    return reply.code(400).send({});
  });
  return async (payload) => {
    const headers = { 'content-type': 'application/json' };
    const { statusCode } = await app.inject({ method: 'POST', url: '/', headers, payload });
    if (statusCode === 200) return true;
    assert.equal(statusCode, 400);
    assert(thrown instanceof MeshError, String(thrown));
    assert.notEqual(thrown.reason, 'ENGINE_FAILED');
    assert.doesNotMatch(thrown.message, /undefined|\[object/);
    return false;
  };
}

describe('a damaged request in JSON is read or refused', () => {
  for (const { name, body, parse } of SCHEMAS) {
    it(`${name}, with its bytes damaged`, async () => {
      const read = reader(parse);
      const bytes = Buffer.from(JSON.stringify(body));
      const marks = [...bytes.entries()].flatMap(([at, byte]) => (byte === 0x3a ? [at] : []));
      const specimen: Specimen = { name, bytes, marks };
      const outcomes = { numRead: 0, numRefused: 0 };
      assert(await read(bytes), 'refused undamaged');

      await checkMutants([specimen], 300, async (damaged) => {
        if (await read(damaged)) outcomes.numRead += 1;
        else outcomes.numRefused += 1;
      });

      assert(outcomes.numRead > 0 && outcomes.numRefused > 0, JSON.stringify(outcomes));
    });

    it(`${name}, with a value of another kind in each place`, async () => {
      const read = reader(parse);
      let numRefused = 0;

      for (const text of oddBodies(body)) {
        const isRead = await read(Buffer.from(text)).catch((cause: unknown) => {
          throw new Error(text, { cause });
        });
        if (!isRead) numRefused += 1;
      }

      assert(numRefused > 0);
    });
  }
});
