import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import type { MeshError } from '#mesh/errors.ts';
import { refusalOf } from '#test/refusal.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];

function refusalFor(fields: object): MeshError {
  return refusalOf(() => parseChatRequest({ messages: MESSAGES, ...fields }));
}

const MANY_FIELDS = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x${i}`, 0]));

const toolOf = (value: object) => ({ type: 'function', function: value });

const nested = (depth: number): object => (depth === 0 ? {} : { items: nested(depth - 1) });

/** Makes a message that calls a tool once for each id. */
const calling = (...ids: readonly string[]) => ({
  role: 'assistant',
  tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'f' } })),
});

const resultOf = (id: string) => ({ role: 'tool', tool_call_id: id, content: 'c' });

const REFUSALS: readonly (readonly [object, string, string])[] = [
  [{ messages: undefined }, 'messages', 'is required'],
  [{ messages: [] }, 'messages', 'at least one message, got a list of 0'],
  [{ messages: 'hi' }, 'messages', 'got "hi"'],
  [
    { messages: [{ ...MANY_FIELDS, role: 'user', content: 'hi' }] },
    'messages[0]',
    'messages[0] must have at most 1000 fields, got 1002',
  ],
  [{ messages: ['hi'] }, 'messages[0]', 'an object with role and content'],
  [{ messages: [{ content: 'hi' }] }, 'messages[0].role', 'got nothing'],
  [{ messages: [{ role: 'boss', content: 'hi' }] }, 'messages[0].role', 'got "boss"'],
  [
    { messages: [{ role: 'user', content: 7 }] },
    'messages[0].content',
    'a text or a list of parts',
  ],
  [{ messages: [{ role: 'user', content: 7 }] }, 'messages[0].content', 'got 7'],
  [{ messages: [{ role: 'user', content: [7] }] }, 'messages[0].content[0]', 'got 7'],
  [
    { messages: [{ role: 'user', content: [{ type: 'poem' }] }] },
    'messages[0].content[0].type',
    'got "poem"',
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    'messages[0].content[0].text',
    'got nothing',
  ],
  [
    { messages: [{ role: 'assistant', tool_calls: [{}] }] },
    'messages[0].tool_calls[0].function',
    'an object with name and arguments',
  ],
  [
    { messages: [{ role: 'assistant', tool_calls: [{ type: 'custom' }] }] },
    'messages[0].tool_calls[0].type',
    '"function"',
  ],
  [
    { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 7 } }] }] },
    'messages[0].tool_calls[0].function.name',
    'a text',
  ],
  [
    { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: 7 } }] }] },
    'messages[0].tool_calls[0].function.arguments',
    'JSON as a text',
  ],
  [
    { messages: [{ role: 'user', content: '', tool_calls: [{ function: { name: 'f' } }] }] },
    'messages[0].tool_calls',
    'absent in a message of role user',
  ],
  [
    { messages: [{ role: 'assistant', content: 'a', reasoning_content: 7 }] },
    'messages[0].reasoning_content',
    'a text',
  ],
  [
    { chat_template_kwargs: { a: Array.from({ length: 10_000 }, () => ({})) } },
    'chat_template_kwargs',
    'at most 10000 values',
  ],
  [{ chat_template_kwargs: [] }, 'chat_template_kwargs', 'template arguments, got a list of 0'],
  [{ model: 7 }, 'model', 'a model name, got 7'],
  [{ stream: 'yes' }, 'stream', 'true or false, got "yes"'],
  [{ temperature: 2.1 }, 'temperature', 'a number from 0 to 2, got 2.1'],
  [{ temperature: -0.1 }, 'temperature', 'got -0.1'],
  [{ temperature: 'hot' }, 'temperature', 'got "hot"'],
  [{ top_p: -0.1 }, 'top_p', 'a number from 0 to 1, got -0.1'],
  [{ top_p: 1.01 }, 'top_p', 'got 1.01'],
  [{ top_k: -2 }, 'top_k', 'got -2'],
  [{ top_k: 1.5 }, 'top_k', 'got 1.5'],
  [{ min_p: 1.1 }, 'min_p', 'from 0 to 1'],
  [{ repetition_penalty: 0 }, 'repetition_penalty', 'from 0.01 to 100'],
  [{ repetition_penalty: 3e38 }, 'repetition_penalty', 'from 0.01 to 100'],
  [{ presence_penalty: 2.1 }, 'presence_penalty', 'from -2 to 2'],
  [{ frequency_penalty: -2.1 }, 'frequency_penalty', 'from -2 to 2'],
  [{ logit_bias: { a: 1 } }, 'logit_bias', 'token ids with numbers'],
  [{ logit_bias: { 1: 101 } }, 'logit_bias', 'from -100 to 100'],
  [{ logit_bias: [1] }, 'logit_bias', 'got a list of 1'],
  [{ seed: 1.5 }, 'seed', 'a 64-bit integer'],
  [{ seed: 2 ** 65 }, 'seed', 'a 64-bit integer'],
  [{ allowed_token_ids: [] }, 'allowed_token_ids', 'at least one'],
  [{ allowed_token_ids: [-1] }, 'allowed_token_ids', 'token id'],
  [{ bad_words: [''] }, 'bad_words', 'not empty'],
  [{ max_tokens: 0 }, 'max_tokens', 'from 1'],
  [{ max_completion_tokens: -1 }, 'max_completion_tokens', 'from 1'],
  [{ max_tokens: 4, min_tokens: 5 }, 'min_tokens', 'at most max_tokens (4), got 5'],
  [{ min_tokens: -1 }, 'min_tokens', 'from 0'],
  [{ stop: '' }, 'stop', 'none of them empty'],
  [{ stop: Array.from({ length: 17 }, () => 'a') }, 'stop', 'at most 16 texts'],
  [{ stop: [7] }, 'stop', 'a text or a list'],
  [{ stop_token_ids: ['a'] }, 'stop_token_ids', 'a list of token ids'],
  [{ ignore_eos: 1 }, 'ignore_eos', 'true or false'],
  [{ n: 0 }, 'n', 'an integer from 1 to 128, got 0'],
  [{ n: 129 }, 'n', 'got 129'],
  [{ logprobs: 5 }, 'logprobs', 'true or false, got 5'],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs', 'from 0 to 20, got 21'],
  [{ top_logprobs: 2 }, 'top_logprobs', 'only allowed with logprobs'],
  [{ prompt_logprobs: 21 }, 'prompt_logprobs', 'from 0 to 20'],
  [{ prompt_logprobs: 1, stream: true }, 'prompt_logprobs', 'not available with stream'],
  [{ stream_options: {} }, 'stream_options', 'only allowed with stream'],
  [
    { stream: true, stream_options: { include_usage: 'yes' } },
    'stream_options.include_usage',
    'true or false, got "yes"',
  ],
  [{ stream: true, stream_options: 7 }, 'stream_options', 'an object'],
  [{ truncate_prompt_tokens: 0 }, 'truncate_prompt_tokens', 'from 1, or -1'],
  [{ priority: 0.5 }, 'priority', 'an integer'],
  [{ request_id: 'a b' }, 'request_id', '1 to 128 letters'],
  [{ cache_salt: '' }, 'cache_salt', '1 to 1024 bytes'],
  [{ cache_salt: 'é'.repeat(513) }, 'cache_salt', 'got 1026'],
  [{ thinking: { type: 'maybe' } }, 'thinking.type', 'one of enabled'],
  [{ thinking: true }, 'thinking', 'an object with the type'],
  [{ thinking: { budget_tokens: -1 } }, 'thinking.budget_tokens', 'from 0'],
  [{ thinking_token_budget: -2 }, 'thinking_token_budget', 'or -1 for no bound'],
  [{ reasoning: { max_tokens: 1.5 } }, 'reasoning.max_tokens', 'an integer'],
  [{ thinking_token_budget: 1, reasoning: { max_tokens: 5 } }, 'reasoning.max_tokens', 'differs'],
  [{ thinking_budget: 5 }, 'thinking_budget', 'use thinking_token_budget'],
  [{ reasoning: { effort: 'huge' } }, 'reasoning.effort', 'one of none'],
  [{ thinking: { type: 'disabled' }, enable_thinking: true }, 'thinking.type', 'differs'],
  [{ reasoning_effort: 'low', reasoning: { effort: 'none' } }, 'reasoning.effort', 'differs'],
  [{ return_reasoning: true, separate_reasoning: false }, 'separate_reasoning', 'differs'],
  [{ stream_reasoning: false }, 'stream_reasoning', 'as they come'],
  [{ echo: 'x' }, 'echo', 'true or false'],
  [{ extra_body: [] }, 'extra_body', 'an object, got a list of 0'],
  [{ extra_body: { n: 0 } }, 'n', 'from 1 to 128'],
  [{ enable_thinking: 'no' }, 'enable_thinking', 'true or false'],
  [{ reasoning_effort: 'huge' }, 'reasoning_effort', 'one of none'],
  [{ chat_template_kwargs: 7 }, 'chat_template_kwargs', 'an object'],
  [
    { enable_thinking: true, chat_template_kwargs: { enable_thinking: false } },
    'enable_thinking',
    'differs from chat_template_kwargs.enable_thinking',
  ],
  [
    { add_generation_prompt: true, continue_final_message: true },
    'add_generation_prompt',
    'together with continue_final_message',
  ],
  [{ functions: [{}] }, 'functions', 'use tools'],
  [{ function_call: 'auto' }, 'function_call', 'use tool_choice'],
  [{ tools: [toolOf({ name: 'f' })], parse_tool_calls: false }, 'parse_tool_calls', 'only true'],
  [{ tools: {} }, 'tools', 'a list of at most 512 tools, got an object'],
  [{ tools: ['f'] }, 'tools[0]', 'an object with type and function'],
  [{ tools: [{}] }, 'tools[0].type', '"function", got nothing'],
  [{ tools: [{ type: 'custom' }] }, 'tools[0].type', '"function", got "custom"'],
  [{ tools: [{ type: 'function', name: 'f' }] }, 'tools[0].function', 'an object with a name'],
  [{ tools: [toolOf({ name: 'a b' })] }, 'tools[0].function.name', 'got "a b"'],
  [{ tools: [toolOf({ name: 'f', description: 7 })] }, 'tools[0].function.description', 'a text'],
  [{ tools: [toolOf({ name: 'f', strict: 'yes' })] }, 'tools[0].function.strict', 'true or false'],
  [
    { tools: [toolOf({ name: 'f' }), toolOf({ name: 'f' })] },
    'tools[1].function.name',
    'another name than "f"',
  ],
  [
    { tools: [toolOf({ name: 'f', parameters: 'x' })] },
    'tools[0].function.parameters',
    'a JSON Schema of an object, got "x"',
  ],
  [
    { tools: [toolOf({ name: 'f', parameters: { type: 'string' } })] },
    'tools[0].function.parameters.type',
    '"object", got "string"',
  ],
  [
    { tools: [toolOf({ name: 'f', parameters: { properties: { a: 7 } } })] },
    'tools[0].function.parameters.properties["a"]',
    'a JSON Schema, got 7',
  ],
  [
    { tools: [toolOf({ name: 'f', parameters: { required: [7] } })] },
    'tools[0].function.parameters.required',
    'a list of names',
  ],
  [
    { tools: [toolOf({ name: 'f', parameters: { properties: { a: nested(64) } } })] },
    'tools[0].function',
    'at most 64 levels deep',
  ],
  [
    { tools: [toolOf({ name: 'f', description: 'x'.repeat(300_000) })] },
    'tools[0].function',
    'at most 262144 bytes of JSON, got 3000',
  ],
  [{ tool_choice: 'always' }, 'tool_choice', 'got "always"'],
  [{ tool_choice: 'required' }, 'tool_choice', 'there are no tools'],
  [{ tools: [toolOf({ name: 'f' })], tool_choice: {} }, 'tool_choice.type', 'got nothing'],
  [
    { tools: [toolOf({ name: 'f' })], tool_choice: { type: 'allowed_tools' } },
    'tool_choice.allowed_tools',
    'got nothing',
  ],
  [
    { tools: [toolOf({ name: 'f' })], tool_choice: { type: 'function', function: { name: 'g' } } },
    'tool_choice.function.name',
    'no tool of the name "g"',
  ],
  [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls', 'true or false'],
  [{ messages: [calling('a')] }, 'messages[0].tool_calls[0]', 'the call "a" has no result'],
  [
    { messages: [calling('a', 'b'), resultOf('b'), { role: 'user', content: 'go' }] },
    'messages[0].tool_calls[0]',
    'the call "a" has no result',
  ],
  [
    { messages: [calling('a'), resultOf('x')] },
    'messages[1].tool_call_id',
    'belongs to "x"; "a" are open',
  ],
  [
    { messages: [calling('a'), resultOf('a'), resultOf('a')] },
    'messages[2].tool_call_id',
    'belongs to "a"; none is open',
  ],
  [{ messages: [resultOf('a')] }, 'messages[0].tool_call_id', 'none is open'],
  [
    { messages: [{ role: 'tool', content: 'c' }] },
    'messages[0].tool_call_id',
    'belongs to this result; none is open',
  ],
  [{ messages: [calling('a', 'a')] }, 'messages[0].tool_calls[1].id', '"a" names another call'],
  [{ response_format: { type: 'xml' } }, 'response_format.type', 'one of text, json_object'],
  [{ response_format: {} }, 'response_format.type', 'one of text, json_object'],
  [
    { response_format: { type: 'json_schema', json_schema: { name: 'a' } } },
    'response_format.json_schema.schema',
    'a JSON Schema',
  ],
  [
    { response_format: { type: 'json_schema', json_schema: { schema: {}, strict: 1 } } },
    'response_format.json_schema.strict',
    'true or false',
  ],
  [{ structured_outputs: { json: [] } }, 'structured_outputs.json', 'a JSON Schema'],
  [{ structured_outputs: { choice: [''] } }, 'structured_outputs.choice', 'at least one text'],
  [{ structured_outputs: { json_object: 1 } }, 'structured_outputs.json_object', 'true or false'],
  [
    { structured_outputs: { regex: 'a', choice: ['a'] } },
    'structured_outputs.choice',
    'cannot be combined with structured_outputs.regex',
  ],
  [
    { response_format: { type: 'json_object' }, guided_regex: 'a' },
    'guided_regex',
    'cannot be combined with response_format',
  ],
  [{ guided_choice: [1] }, 'guided_choice', 'a list of texts'],
  [{ regex: 'a' }, 'regex', 'use structured_outputs.regex'],
  [{ grammar: 'a' }, 'grammar', 'use structured_outputs.grammar'],
  [{ modalities: ['text', 'audio'] }, 'modalities', 'answers are text'],
  [{ best_of: 2 }, 'best_of', 'not supported'],
  [{ suffix: 'a' }, 'suffix', 'not supported'],
  [{ use_beam_search: true }, 'use_beam_search', 'not supported'],
  [{ chat_template: 'x' }, 'chat_template', '--chat-template'],
];

describe('parseChatRequest refuses', () => {
  for (const [fields, param, message] of REFUSALS) {
    it(`${JSON.stringify(fields).slice(0, 70)}, naming ${param}`, () => {
      const refusal = refusalFor(fields);

      assert.equal(refusal.reason, 'INVALID_REQUEST');
      assert.equal(refusal.param, param);
      assert(refusal.message.includes(message), refusal.message);
      assert(refusal.message.includes(param), refusal.message);
    });
  }

  it('quotes at most the beginning of what it received', () => {
    const { message } = refusalFor({ temperature: 'x'.repeat(5000) });

    assert(message.length < 120, message);
  });
});
