import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FIELD_PAGE, ROUTE_FIELDS } from '#gateway/field-page/field-page.ts';
import type { FieldTable, FieldUse } from '#gateway/openai/fields/field-use.ts';
import { isRecord } from '#mesh/json-value.ts';
import { FakeBackbone } from '#test/contract/gateway/fake-backbone.ts';
import { type Harness, jsonOf, startHarness } from '#test/contract/gateway/harness.ts';
import { dataUrl, PNG, WAV } from '#test/contract/gateway/media-files.ts';
import { answering } from './answering.ts';
import { SAMPLES } from './samples.ts';

type Fields = Readonly<Record<string, unknown>>;

const MESSAGES = [{ role: 'user', content: 'hi' }];

/** A request to each route that is answered. */
const REQUESTS: Readonly<Record<string, Fields>> = {
  '/v1/chat/completions': { messages: MESSAGES },
  '/v1/completions': { prompt: 'hi' },
  '/v1/embeddings': { input: 'hi' },
  '/v1/responses': { input: 'hi' },
  '/v1/messages': { model: 'phone-nano', max_tokens: 5, messages: MESSAGES },
  '/v1/messages/count_tokens': { model: 'phone-nano', messages: MESSAGES },
  '/v1/audio/transcriptions': {},
  '/tokenize': { prompt: 'hi' },
  '/detokenize': { tokens: [1] },
};

/** Objects that have to be there for a field in them; others are empty. */
const AROUND: Readonly<Record<string, unknown>> = {
  messages: MESSAGES,
  'messages.content': [{ type: 'text', text: 'hi' }],
  'messages.content.image_url': { url: dataUrl('image/png', PNG) },
  input: MESSAGES,
  'input.content': [{ type: 'input_text', text: 'hi' }],
  'input.output': [{ type: 'input_text', text: 'hi' }],
  'text.format': { type: 'text' },
  'input.summary': [{ type: 'summary_text', text: 'hi' }],
  tools: [{ type: 'function', function: { name: 'tap' } }],
  system: [{ type: 'text', text: 'a' }],
  response_format: { type: 'json_schema' },
  'response_format.json_schema': { name: 'a', schema: {} },
};

/** Returns the request to which a field is added. */
function requestFor(path: string, field: string): Fields {
  const given = SAMPLES[path]?.[field]?.given;
  // A conversation stands instead of the input.
  const isChat = path === '/v1/embeddings' || path === '/tokenize';
  if (isChat && /^(messages|tools)\./.test(field)) return { messages: MESSAGES, ...given };
  const tools = [{ name: 'tap', input_schema: {} }];
  const isMessages = path.startsWith('/v1/messages') && field.startsWith('tools.');
  const isFlat = path === '/v1/responses' && field.startsWith('tools.');
  return {
    ...REQUESTS[path],
    ...(isMessages && { tools }),
    ...(isFlat && { tools: [{ type: 'function', name: 'tap' }] }),
    ...given,
  };
}

let harness: Harness;
before(async () => {
  const backbone = new FakeBackbone(['phone-nano', 'nano-two']);
  backbone.script = answering;
  harness = await startHarness({ backbones: [backbone] });
});
after(() => harness.close());

/** Returns a copy of a request with a value at a path, in the last entry of each list on it. */
function withField(request: Fields, steps: readonly string[], value: unknown): Fields {
  const copy: unknown = { ...structuredClone(request) };
  let place = copy;
  for (const [i, step] of steps.slice(0, -1).entries()) {
    assert(isRecord(place));
    const around = AROUND[steps.slice(0, i + 1).join('.')] ?? {};
    if (typeof place[step] !== 'object') place[step] = structuredClone(around);
    place = Array.isArray(place[step]) ? place[step].at(-1) : place[step];
  }
  assert(isRecord(place) && isRecord(copy));
  place[steps.at(-1) ?? ''] = value;
  return copy;
}

async function post(path: string, request: Fields): Promise<Response> {
  if (path !== '/v1/audio/transcriptions') return await harness.post(path, request);
  const form = new FormData();
  const { file = WAV, ...texts } = request;
  assert(Buffer.isBuffer(file));
  form.append('file', new Blob([file], { type: 'audio/wav' }), 'speech.wav');
  for (const [name, value] of Object.entries(texts)) form.append(name, String(value));
  return await fetch(harness.url + path, { method: 'POST', body: form });
}

/** Returns what a request asks of the mesh, and what is answered, without what is drawn. */
async function effectOf(path: string, request: Fields): Promise<string> {
  const { starts, uploads, tokenized, detokenized } = harness.backbone;
  const seen = [starts, uploads, tokenized, detokenized];
  for (const list of seen) list.length = 0;
  const response = await post(path, request);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const asked = JSON.stringify(seen, (_, value) => {
    return typeof value === 'bigint' ? String(value) : value;
  });
  return (asked + text)
    .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{24,}/g, 'ID')
    .replaceAll(/"(?:created|created_at|completed_at)":\d+/g, '');
}

/** A field of a table, or of an object in it. */
interface PlacedUse {
  readonly steps: readonly string[];
  readonly use: FieldUse;
}

/** Returns every field of a table, those of objects too. */
function usesOf(table: FieldTable, around: readonly string[] = []): PlacedUse[] {
  return [...table].flatMap(([name, use]) => {
    const steps = [...around, name];
    const inner = use.kind === 'honoured' ? use.fields : undefined;
    return [{ steps, use }, ...(inner === undefined ? [] : usesOf(inner, steps))];
  });
}

/** Returns a value that a refused field does not accept. */
function wanted(use: FieldUse & { readonly kind: 'refused' }, request: Fields): unknown {
  const value = ['x', 17, true].find((one) => !use.isIdle(one, request));
  assert(value !== undefined);
  return value;
}

for (const { path, uses } of ROUTE_FIELDS) {
  const samples = SAMPLES[path] ?? {};
  const fields = usesOf(uses);

  describe(`Of the fields of POST ${path} in ${FIELD_PAGE}`, () => {
    it('no sample is of another', () => {
      const known = fields.map(({ steps }) => steps.join('.'));
      assert.deepEqual(
        Object.keys(samples).filter((name) => !known.includes(name)),
        [],
      );
    });

    for (const { steps, use } of fields) {
      const field = steps.join('.');
      const request = requestFor(path, field);
      const sample = samples[field];
      if (use.kind === 'refused') {
        it(`${field} is refused`, async () => {
          const response = await post(path, withField(request, steps, wanted(use, request)));

          const { place, message } = await refusalOf(response);
          assert.equal(place, placeOf(field, request));
          assert(message.startsWith(`${place}: ${use.why}`), message);
        });
      } else if (use.kind === 'harmless') {
        it(`${field} is ignored without a warning`, async () => {
          const without = await effectOf(path, withField(request, steps, undefined));

          const response = await post(path, withField(request, steps, 'x'));

          assert.equal(response.status, 200, await response.clone().text());
          assert.equal(response.headers.get('x-autoglm-warning'), null);
          await response.text();
          assert.equal(await effectOf(path, withField(request, steps, 'x')), without);
        });
      } else if (sample?.isLabel) {
        it(`${field} is checked`, async () => {
          await effectOf(path, withField(request, steps, sample.value));

          const { place } = await refusalOf(await post(path, withField(request, steps, [[{}]])));

          assert.equal(place, placeOf(field, request));
        });
      } else {
        it(`${field} is honoured`, async () => {
          assert(sample !== undefined, 'it has no sample');
          const before = await effectOf(path, request);
          assert.equal(await effectOf(path, request), before);

          const { changed, value } = sample;
          const after = await effectOf(
            path,
            changed === undefined ? withField(request, steps, value) : { ...request, ...changed },
          );

          assert.notEqual(after, before);
        });
      }
    }
  });
}

/** Returns the path of a field as a refusal writes it. */
function placeOf(field: string, { input }: Fields): string {
  const last = Array.isArray(input) ? input.length - 1 : 0;
  return field
    .replace(/^(messages|tools|system)\./, '$1[0].')
    .replace(/^input\./, `input[${last}].`)
    .replace(/^((?:messages|input)\[\d\]\.(?:content|output|summary))\./, '$1[0].');
}

/** Returns the message of a refusal, and the field at fault: Anthropic's names it in the message alone. */
async function refusalOf(response: Response) {
  assert.equal(response.status, 400, await response.clone().text());
  const { error } = await jsonOf(response);
  assert(isRecord(error));
  const message = String(error['message']);
  return { message, place: error['param'] ?? /^[^ :]+/.exec(message)?.[0] };
}
