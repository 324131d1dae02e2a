import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import { parseTokenizeRequest } from '#gateway/openai/request/tokenize-request.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];
const WEATHER = {
  type: 'function',
  function: {
    parameters: { type: 'object', properties: { city: { type: 'string' } }, $defs: {} },
    description: 'Weather of a city',
    name: 'weather',
    strict: true,
  },
};
const TIME = { type: 'function', function: { name: 'time' } };

function parse(fields: object) {
  const { start, unknownFields } = parseChatRequest({ messages: MESSAGES, ...fields });
  const form = start.prompt?.form;
  assert(form?.$case === 'chat');
  return { tools: form.value.tools, toolChoice: start.toolChoice, unknownFields };
}

describe('parseChatRequest with tools', () => {
  it('passes each function on as it is written', () => {
    const { tools, toolChoice, unknownFields } = parse({ tools: [WEATHER, TIME] });

    assert.deepEqual(tools, [
      { functionJson: JSON.stringify(WEATHER.function) },
      { functionJson: '{"name":"time"}' },
    ]);
    assert.deepEqual(toolChoice, {
      required: false,
      name: undefined,
      allowedNames: [],
      singleCall: false,
    });
    assert.deepEqual(unknownFields, []);
  });

  it('passes no tool on if none may be called, and checks them nevertheless', () => {
    assert.deepEqual(parse({ tools: [WEATHER], tool_choice: 'none' }), {
      tools: [],
      toolChoice: undefined,
      unknownFields: [],
    });
    assert.throws(() => parse({ tools: [{}], tool_choice: 'none' }), { param: 'tools[0].type' });
  });

  const choices = [
    { choice: 'auto', required: false, name: undefined },
    { choice: 'required', required: true, name: undefined },
    { choice: { type: 'function', function: { name: 'time' } }, required: true, name: 'time' },
  ];
  for (const { choice, required, name } of choices) {
    it(`reads the choice ${JSON.stringify(choice)}`, () => {
      const { toolChoice } = parse({ tools: [WEATHER, TIME], tool_choice: choice });

      assert.deepEqual(toolChoice, { required, name, allowedNames: [], singleCall: false });
    });
  }

  const allowed = (mode: unknown, ...names: readonly string[]) => ({
    type: 'allowed_tools',
    allowed_tools: { mode, tools: names.map((name) => ({ type: 'function', function: { name } })) },
  });
  for (const mode of ['auto', 'required']) {
    it(`reads a choice among some tools, in the mode ${mode}`, () => {
      const choice = allowed(mode, 'time', 'time');

      const { tools, toolChoice } = parse({ tools: [WEATHER, TIME], tool_choice: choice });

      // The prompt shows them all.
      assert.equal(tools.length, 2);
      assert.equal(toolChoice?.required, mode === 'required');
      assert.deepEqual(toolChoice?.allowedNames, ['time']);
    });
  }

  const faults = [
    { choice: { type: 'allowed_tools' }, param: 'tool_choice.allowed_tools' },
    { choice: allowed('any', 'time'), param: 'tool_choice.allowed_tools.mode' },
    { choice: allowed('auto'), param: 'tool_choice.allowed_tools.tools' },
    {
      choice: allowed('auto', 'time', 'date'),
      param: 'tool_choice.allowed_tools.tools[1].function.name',
    },
    {
      choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'x' }] } },
      param: 'tool_choice.allowed_tools.tools[0].type',
    },
  ];
  for (const { choice, param } of faults) {
    it(`refuses a choice that is not one at ${param}`, () => {
      assert.throws(() => parse({ tools: [TIME], tool_choice: choice }), { param });
    });
  }

  it('asks for a single call if calls must not be parallel', () => {
    const { toolChoice } = parse({ tools: [TIME], parallel_tool_calls: false });

    assert.equal(toolChoice?.singleCall, true);
  });

  it('names a field of a tool that nobody knows', () => {
    const tool = { type: 'function', function: { name: 'f', paramters: {} } };

    const { unknownFields } = parse({ tools: [tool] });

    assert.deepEqual(unknownFields, [{ path: 'tools[0].function.paramters', meant: 'parameters' }]);
  });

  it('takes calls in a last message that the model is to continue', () => {
    const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
    const messages = [{ role: 'assistant', content: 'so', tool_calls: [call] }];

    assert.doesNotThrow(() => parse({ messages, continue_final_message: true }));
  });

  it('takes the results of several calls in any order', () => {
    const call = (id: string) => ({ id, type: 'function', function: { name: 'f' } });
    const result = (id: string) => ({ role: 'tool', tool_call_id: id, content: id });
    const calls = { role: 'assistant', tool_calls: [call('a'), call('b')] };

    assert.doesNotThrow(() => parse({ messages: [calls, result('b'), result('a'), ...MESSAGES] }));
  });
});

describe('parseTokenizeRequest with tools', () => {
  it('passes them on with the conversation', () => {
    const { form } = parseTokenizeRequest({ messages: MESSAGES, tools: [TIME] });

    assert(form.$case === 'chat');
    assert.deepEqual(form.value.tools, [{ functionJson: '{"name":"time"}' }]);
  });
});
