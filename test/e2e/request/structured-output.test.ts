import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { parseAction } from '#mesh/answer/phone-action.ts';
import { type Mesh, property, startMesh } from '#test/e2e/mesh.ts';
import { postChat, streamAnswer, userMessage } from './chat-request.ts';

const QUESTION = userMessage('打开微信');
const SCHEMA = {
  type: 'object',
  properties: {
    app: { type: 'string', enum: ['微信', 'Music'] },
    steps: { type: 'array', items: { $ref: '#/$defs/step' }, minItems: 1, maxItems: 2 },
  },
  required: ['app', 'steps'],
  additionalProperties: false,
  $defs: {
    step: {
      type: 'object',
      properties: {
        name: { type: 'string', maxLength: 8 },
        wait_s: { type: 'integer', minimum: 0, maximum: 60 },
      },
      required: ['name', 'wait_s'],
      additionalProperties: false,
    },
  },
};
const FORMAT = {
  type: 'json_schema',
  json_schema: { name: 'plan', strict: true, schema: SCHEMA },
} as const;

function assertFits(text: string): void {
  const value: unknown = JSON.parse(text);
  assert.match(String(property(value, 'app')), /^(微信|Music)$/);
  assert(Number.isInteger(property(value, 'steps', 0, 'wait_s')), text);
}

describe('an answer with a form, through every process', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  it('is JSON of the schema that the openai client sends, for each choice', async () => {
    const client = new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none' });

    const { choices } = await client.chat.completions.create({
      model: 'phone-nano',
      messages: [{ role: 'user', content: '打开微信' }],
      response_format: FORMAT,
      temperature: 1,
      n: 2,
    });

    assert.equal(choices.length, 2);
    for (const { message, finish_reason } of choices) {
      assertFits(message.content ?? '');
      assert.equal(finish_reason, 'stop');
    }
  });

  it('is the same streamed as whole', async () => {
    const request = { messages: QUESTION, response_format: FORMAT, temperature: 0 };

    const { text, done } = await streamAnswer(mesh.url, request);

    assert(done);
    assertFits(text);
    const { body } = await postChat(mesh.url, request);
    assert.equal(property(body, 'choices', 0, 'message', 'content'), text);
  });

  it('has the thoughts in front of it where they are told apart', async () => {
    const request = { messages: QUESTION, response_format: FORMAT, return_reasoning: true };

    const { body } = await postChat(mesh.url, request);

    const message = property(body, 'choices', 0, 'message');
    assert.notEqual(property(message, 'reasoning_content') ?? '', '');
    assertFits(String(property(message, 'content')));
  });

  it('is one of the other forms that vLLM has', async () => {
    const contentOf = async (fields: object) => {
      const { body } = await postChat(mesh.url, { messages: QUESTION, ...fields });
      return String(property(body, 'choices', 0, 'message', 'content'));
    };

    const choice = await contentOf({ structured_outputs: { choice: ['yes', 'no'] } });
    assert.match(choice, /^(yes|no)$/);
    assert.match(await contentOf({ guided_regex: '[a-c]{3}' }), /^[a-c]{3}$/);
    const grammar = 'root ::= "<" [0-9]{2} ">"';
    assert.match(await contentOf({ structured_outputs: { grammar } }), /^<\d\d>$/);
    const object = await contentOf({ response_format: { type: 'json_object' }, max_tokens: 20 });
    assert.match(object, /^\{\s*["}]/);
    const action = await contentOf({ response_format: { type: 'phone_action' } });
    assert(parseAction(action) !== undefined, action);
  });

  it('is refused, where it cannot be enforced, with the place in what the client sent', async () => {
    const schema = { type: 'object', properties: { a: { $dynamicRef: '#' } } };
    const refused = await postChat(mesh.url, {
      messages: QUESTION,
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema } },
    });

    assert.equal(refused.status, 400);
    const param = property(refused.body, 'error', 'param');
    assert.equal(param, 'response_format.json_schema.schema.properties.a.$dynamicRef');
    assert.match(
      String(property(refused.body, 'error', 'message')),
      /^response_format\.json_schema/,
    );
  });
});
