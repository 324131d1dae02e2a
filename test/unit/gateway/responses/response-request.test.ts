import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseResponseRequest } from '#gateway/responses/response-request.ts';
import { refusal } from '#test/refusal.ts';

const TAP = { type: 'function', name: 'tap', parameters: { type: 'object' }, strict: true };
const OPEN = { type: 'function', name: 'open' };
const CALL = { type: 'function_call', call_id: 'a', name: 'tap', arguments: '{"x":1}' };
const RESULT = { type: 'function_call_output', call_id: 'a', output: 'ok' };
const WIRE_PNG = 'data:image/png;base64,iVBORw0KGgo=';

function parse(fields: object) {
  const request = parseResponseRequest({ input: 'hi', ...fields });
  const form = request.start.prompt?.form;
  assert(form?.$case === 'chat');
  return { ...request, chat: form.value };
}

/** Returns role, text, thoughts, calls and id of each message. */
function turns(fields: object) {
  return parse(fields).chat.messages.map(({ role, content, reasoning, toolCalls, toolCallId }) => {
    const parts = content?.$case === 'parts' ? content.value.parts : [];
    const texts = parts.map(({ part }) =>
      part?.$case === 'text' ? part.value : `<${part?.value}>`,
    );
    const text = content?.$case === 'text' ? content.value : texts.join('|');
    return [role, text, reasoning ?? '', toolCalls.map(({ id }) => id).join(), toolCallId ?? ''];
  });
}

describe('parseResponseRequest', () => {
  it('reads a text as one message of the user, behind the instructions', () => {
    assert.deepEqual(turns({ instructions: 'Be brief' }), [
      ['system', 'Be brief', '', '', ''],
      ['user', 'hi', '', '', ''],
    ]);
  });

  it('reads messages with and without a type, and parts of all kinds', () => {
    const content = [
      { type: 'input_text', text: 'a' },
      { type: 'input_image', image_url: WIRE_PNG, detail: 'auto' },
      { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } },
    ];
    const input = [
      { role: 'developer', content: 'd' },
      { type: 'message', role: 'user', content },
      { role: 'assistant', content: [{ type: 'output_text', text: 'b' }] },
      { role: 'user', content: 'c' },
    ];

    assert.deepEqual(turns({ input }), [
      ['system', 'd', '', '', ''],
      ['user', 'a|<0>|<1>', '', '', ''],
      ['assistant', 'b', '', '', ''],
      ['user', 'c', '', '', ''],
    ]);
    assert.deepEqual(
      parse({ input }).media.references.map(({ param }) => param),
      ['input[1].content[1].image_url', 'input[1].content[2].input_audio.data'],
    );
  });

  it('joins thoughts, a text and calls in a row into one turn', () => {
    const text = [{ type: 'reasoning_text', text: 'hm' }];
    const thoughts = { type: 'reasoning', id: 'rs_1', summary: [], content: text };
    const other = { ...CALL, call_id: 'b' };
    const input = [
      { role: 'user', content: 'hi' },
      thoughts,
      { role: 'assistant', content: 'Let me see' },
      CALL,
      other,
      RESULT,
      { ...RESULT, call_id: 'b' },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'so' }] },
      { role: 'assistant', content: 'Done' },
      { role: 'assistant', content: 'More?' },
    ];

    assert.deepEqual(turns({ input }), [
      ['user', 'hi', '', '', ''],
      ['assistant', 'Let me see', 'hm', 'a,b', ''],
      ['tool', 'ok', '', '', 'a'],
      ['tool', 'ok', '', '', 'b'],
      ['assistant', 'Done', 'so', '', ''],
      ['assistant', 'More?', '', '', ''],
    ]);
  });

  it('takes thoughts between calls into the turn of both', () => {
    const thoughts = (text: string) => {
      return { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text }] };
    };
    const input = [
      thoughts('one'),
      CALL,
      thoughts('two'),
      { ...CALL, call_id: 'b' },
      RESULT,
      { ...RESULT, call_id: 'b' },
    ];

    assert.deepEqual(turns({ input })[0], ['assistant', '', 'one\ntwo', 'a,b', '']);
  });

  it('reads flat tools and formats', () => {
    const format = { type: 'json_schema', name: 'a', schema: { type: 'object' }, strict: true };
    const choice = { type: 'function', name: 'tap' };
    const { chat, start, form } = parse({
      tools: [TAP, OPEN],
      tool_choice: choice,
      text: { format: { ...format, description: 'x' } },
    });

    assert.deepEqual(
      chat.tools.map(({ functionJson }): unknown => JSON.parse(functionJson)),
      [{ name: 'tap', parameters: { type: 'object' }, strict: true }, { name: 'open' }],
    );
    assert.equal(start.toolChoice?.name, 'tap');
    assert.deepEqual(start.structuredOutput?.form, {
      $case: 'jsonSchema',
      value: '{"type":"object"}',
    });
    assert.deepEqual(form.format, format);
    assert.deepEqual(form.tools.toolChoice, choice);
  });

  it('repeats the choice among some of the tools, and no tools where none may be called', () => {
    const choice = { type: 'allowed_tools', mode: 'required', tools: [OPEN] };
    const { start, form } = parse({
      tools: [TAP, OPEN],
      tool_choice: { ...choice, tools: [{ ...OPEN, description: 'x' }] },
    });

    assert.deepEqual(start.toolChoice?.allowedNames, ['open']);
    assert.equal(start.toolChoice?.required, true);
    assert.deepEqual(form.tools.toolChoice, choice);
    assert.deepEqual(
      form.tools.tools.map(({ name }) => name),
      ['tap', 'open'],
    );
    assert.deepEqual(parse({ tools: [TAP], tool_choice: 'none' }).form.tools.tools, []);
  });

  it('counts log-probabilities that either field asks for', () => {
    const include = ['message.output_text.logprobs', 'reasoning.encrypted_content'];
    const countOf = (fields: object) => parse(fields).start.output?.numLogprobs;

    assert.equal(countOf({}), undefined);
    assert.equal(countOf({ include: ['reasoning.encrypted_content'] }), undefined);
    assert.equal(countOf({ include }), 0);
    assert.equal(countOf({ include, top_logprobs: 3 }), 3);
    assert.equal(countOf({ top_logprobs: 3 }), 3);
  });

  const item = (...input: unknown[]) => ({ input });
  const part = (one: object) => item({ role: 'user', content: [one] });
  const REFUSALS: readonly (readonly [object, string, RegExp?])[] = [
    [{ input: undefined }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: [7] }, 'input[0]'],
    [item({}), 'input[0].type'],
    [item({ role: 'tool', content: 'a' }), 'input[0].role'],
    [item({ role: 'user' }), 'input[0].content'],
    [item({ role: 'user', content: ['a'] }), 'input[0].content[0]'],
    [item({ type: 'item_reference', id: 'a' }), 'input[0].type', /keeps no items/],
    [item({ type: 'computer_call' }), 'input[0].type', /"computer_call" items are not accepted/],
    [part({ type: 'input_file', file_data: 'a' }), 'input[0].content[0]', /input_file parts/],
    [part({ type: 'text', text: 'a' }), 'input[0].content[0].type'],
    [part({ type: 'input_text', text: 7 }), 'input[0].content[0].text'],
    [part({ type: 'input_image', file_id: 'a' }), 'input[0].content[0].file_id'],
    [part({ type: 'input_image', image_url: 'ftp://a' }), 'input[0].content[0].image_url'],
    [part({ type: 'input_audio' }), 'input[0].content[0].input_audio'],
    [item(CALL), 'input[0]', /has no result/],
    [item(RESULT), 'input[0].call_id'],
    [item({ ...CALL, arguments: {} }, RESULT), 'input[0].arguments'],
    [item({ ...CALL, name: 7 }, RESULT), 'input[0].name'],
    [item({ ...CALL, call_id: undefined }, RESULT), 'input[0].call_id'],
    [item(CALL, CALL, RESULT), 'input[1].call_id'],
    [item({ type: 'reasoning', summary: [{ text: 7 }] }), 'input[0].summary[0].text'],
    [item({ type: 'reasoning', encrypted_content: 'a' }), 'input[0].encrypted_content'],
    [{ instructions: ['a'] }, 'instructions'],
    [{ max_output_tokens: 0 }, 'max_output_tokens'],
    [{ top_logprobs: 21 }, 'top_logprobs'],
    [{ include: ['x'] }, 'include'],
    [{ reasoning: { effort: 'huge' } }, 'reasoning.effort'],
    [{ text: { format: { type: 'x' } } }, 'text.format.type'],
    [{ text: { format: { type: 'json_schema', name: 'a' } } }, 'text.format.schema'],
    [
      { text: { format: { type: 'json_schema', name: 'a'.repeat(65), schema: {} } } },
      'text.format.name',
    ],
    [{ tools: [{ type: 'web_search' }] }, 'tools[0].type', /"web_search" tools are not run/],
    [{ tools: [{ ...TAP, name: 'a b' }] }, 'tools[0].name'],
    [{ tools: [TAP, TAP] }, 'tools[1].name'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ tools: [TAP], tool_choice: { type: 'mcp' } }, 'tool_choice.type'],
    [{ tools: [TAP], tool_choice: { type: 'function', name: 'x' } }, 'tool_choice.name'],
    [
      { tools: [TAP], tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [OPEN] } },
      'tool_choice.tools[0].name',
    ],
    [
      { tools: [TAP], tool_choice: { type: 'allowed_tools', mode: 'x', tools: [TAP] } },
      'tool_choice.mode',
    ],
    [{ metadata: { a: 7 } }, 'metadata.a'],
    [{ metadata: { a: 'x'.repeat(513) } }, 'metadata.a'],
    [{ metadata: { ['x'.repeat(65)]: 'a' } }, 'metadata'],
    [{ metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, 'a'])) }, 'metadata'],
    [{ previous_response_id: 'resp_1' }, 'previous_response_id', /keeps no responses/],
    [{ conversation: 'conv_1' }, 'conversation', /keeps no responses/],
    [{ background: true }, 'background'],
    [{ prompt: { id: 'a' } }, 'prompt'],
    [{ truncation: 'auto' }, 'truncation'],
    [{ messages: [] }, 'messages', /use input/],
  ];
  for (const [fields, param, message] of REFUSALS) {
    it(`refuses ${JSON.stringify(fields).slice(0, 90)} at ${param}`, () => {
      const reason = /input_file/.test(JSON.stringify(fields))
        ? 'UNSUPPORTED_MEDIA'
        : 'INVALID_REQUEST';
      assert.throws(() => parse(fields), refusal(reason, message, param));
    });
  }
});
