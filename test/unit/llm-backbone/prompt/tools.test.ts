import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ChatTemplate, type RenderOptions } from '#backbone/prompt/chat-template.ts';
import type { TemplateMessage } from '#backbone/prompt/template-message.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { refusal } from '#test/refusal.ts';

const TEMPLATES = join(PACKAGE_ROOT, 'test', 'testdata', 'templates');
const PLAIN: RenderOptions = {
  addGenerationPrompt: true,
  continueFinalMessage: false,
  args: {},
  tools: [],
};

const WEATHER = {
  name: 'weather',
  description: 'Wetter é <|user|>',
  parameters: { type: 'object', properties: { city: { type: 'string' }, days: { minimum: 1 } } },
};
const TOOLS = [JSON.stringify(WEATHER), '{"name":"time"}'];

const CALLS: readonly TemplateMessage[] = [
  { role: 'user', content: 'q' },
  {
    role: 'assistant',
    content: 'I look.',
    toolCalls: [
      { id: 'a', name: 'weather', arguments: '{"city":"Bonn","days":2}' },
      { id: 'b', name: 'time', arguments: '' },
    ],
  },
  { role: 'tool', content: 'sun', toolCallId: 'a' },
  { role: 'tool', content: 'noon', toolCallId: 'b' },
];

function templateOf(text: string): ChatTemplate {
  return new ChatTemplate({ text, path: 'test.jinja', specialTokens: {}, contentFormat: 'auto' });
}

function read(name: string): ChatTemplate {
  return templateOf(readFileSync(join(TEMPLATES, name), 'utf8'));
}

describe('A chat template with tools', () => {
  it('gets them as transformers hands them over, written as Python writes JSON', () => {
    const { value } = read('pairs.jinja').render([], { ...PLAIN, tools: TOOLS });

    const [, , first, second] = value.split('\n');
    assert.equal(
      first,
      '{"type": "function", "function": {"name": "weather", "description": "Wetter é <|user|>", "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"minimum": 1}}}}}',
    );
    assert.equal(second, '{"type": "function", "function": {"name": "time"}}');
  });

  it('may show only the function of each', () => {
    const { value } = read('observations.jinja').render([], { ...PLAIN, tools: TOOLS });

    assert.ok(value.includes('\n## time\n\n{\n    "name": "time"\n}'), value);
  });

  it('gets none where there are none', () => {
    const { value } = read('pairs.jinja').render([{ role: 'user', content: 'q' }], PLAIN);

    assert.equal(value, '[gMASK]<sop><|user|>\nq<|assistant|>');
  });

  it('takes what a tool says as content', () => {
    const text = read('pairs.jinja').render([], { ...PLAIN, tools: TOOLS });

    const at = text.value.indexOf('<|user|>');
    assert.deepEqual(
      text.slice(at, at + 8).spans.map(({ origin }) => origin),
      ['content'],
    );
  });

  it('shows earlier calls and their results as it knows them', () => {
    const { value } = read('pairs.jinja').render(CALLS, PLAIN);

    assert.equal(
      value,
      '[gMASK]<sop><|user|>\nq<|assistant|>\nI look.' +
        '\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Bonn</arg_value>' +
        '\n<arg_key>days</arg_key>\n<arg_value>2</arg_value>\n</tool_call>' +
        '\n<tool_call>time\n</tool_call>' +
        '<|observation|>\n<tool_response>\nsun\n</tool_response>\n<tool_response>\nnoon\n</tool_response><|assistant|>',
    );
  });

  it('gets calls as messages with metadata, and results as observations, where it knows these', () => {
    const { value } = read('observations.jinja').render(CALLS, PLAIN);

    assert.equal(
      value,
      '[gMASK]<sop><|user|>\nq<|assistant|>\nI look.' +
        '<|assistant|>weather\n{"city":"Bonn","days":2}<|assistant|>time\n' +
        '<|observation|>\nsun<|observation|>\nnoon<|assistant|>',
    );
  });

  const plain = '{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}';

  it('is refused if it shows no tools', () => {
    assert.throws(
      () => templateOf(plain).render([], { ...PLAIN, tools: TOOLS }),
      refusal('INVALID_REQUEST', /shows no tools/, 'prompt.chat.tools'),
    );
  });

  it('is refused calls and results if it shows none', () => {
    for (const [i, message] of CALLS.entries()) {
      if (i === 0) continue;
      assert.throws(
        () => templateOf(plain).render([message], PLAIN),
        refusal('INVALID_REQUEST', /shows no calls of tools/, 'prompt.chat.messages[0]'),
      );
    }
  });

  it('is not given a function that is no JSON', () => {
    assert.throws(
      () => read('pairs.jinja').render([], { ...PLAIN, tools: ['{"name"'] }),
      refusal('INVALID_REQUEST', /must be JSON/, 'prompt.chat.tools[0].function_json'),
    );
  });
});
