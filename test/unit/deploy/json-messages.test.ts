import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { parseMessage, requestMessages } from '#deploy/cli/json-messages.ts';
import { findMethod, listMethods } from '#deploy/cli/proto-methods.ts';
import { loadProtos } from '#mesh/grpc/reflection.ts';
import { collect } from './collect.ts';

const METHODS = listMethods(loadProtos());
const GENERATE = findMethod(METHODS, 'LlmBackboneService/Generate');
const GET_MODEL = findMethod(METHODS, 'LlmBackboneService/GetModel');

describe('findMethod', () => {
  it('takes the full name', () => {
    assert.equal(findMethod(METHODS, 'grpc.health.v1.Health/Check').name, 'Check');
  });

  it('refuses a name that is not there and asks about the nearest', () => {
    assert.throws(
      () => findMethod(METHODS, 'LlmBackboneService/GetModle'),
      /no method "LlmBackboneService\/GetModle"; did you mean "LlmBackboneService\/GetModel"\?/,
    );
  });
});

describe('parseMessage', () => {
  it('takes nested messages, maps and enums by name', () => {
    const text =
      '{"start":{"prompt":{"media":[{"modality":"MODALITY_IMAGE"}]},"sampling":{"logit_bias":{"5":1.5},"temperature":0,"seed":"7"}}}';

    assert.deepEqual(parseMessage(GENERATE, text), JSON.parse(text));
  });

  const refusals = [
    { name: 'text that is not JSON', text: '{', why: /not JSON/ },
    { name: 'a list', text: '[]', why: /a message is a JSON object/ },
    {
      name: 'an unknown field',
      text: '{"start":{"promt":{"a":1}}}',
      why: /no field "start\.promt"/,
    },
    {
      name: 'a word where a number belongs',
      text: '{"start":{"sampling":{"temperature":"warm"}}}',
      why: /no field "start\.sampling\.temperature"/,
    },
  ];
  for (const { name, text, why } of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(() => parseMessage(GENERATE, text), why);
    });
  }
});

describe('requestMessages', () => {
  it('sends one empty message to a method that takes one, when none was typed', async () => {
    assert.deepEqual(await collect(requestMessages(GET_MODEL, [], Readable.from([]))), [{}]);
  });

  it('sends typed messages and the lines of standard input in order', async () => {
    const stdin = Readable.from(['{"start":{"model":"b"}}\n\n{"start":{"model":"c"}}\n']);
    const messages = requestMessages(GENERATE, ['{"start":{"model":"a"}}', '-'], stdin);

    assert.deepEqual(
      await collect(messages),
      ['a', 'b', 'c'].map((model) => ({ start: { model } })),
    );
  });
});
