import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChatRequest } from '#gateway/openai/chat-request.ts';
import { MeshError } from '#mesh/errors.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];

function parse(fields: object) {
  return parseChatRequest({ messages: MESSAGES, ...fields });
}

function refusalOf(fields: object): MeshError {
  try {
    parse(fields);
  } catch (error: unknown) {
    assert(error instanceof MeshError);
    return error;
  }
  assert.fail(`accepted ${JSON.stringify(fields)}`);
}

function templateOf(fields: object) {
  const form = parse(fields).start.prompt?.form;
  assert(form?.$case === 'chat');
  return form.value;
}

describe('parseChatRequest', () => {
  it('leaves what the client did not set to the backbone', () => {
    const { model, isStream, start, form } = parse({});

    assert.equal(model, undefined);
    assert.equal(isStream, false);
    assert.deepEqual(start, {
      prompt: {
        form: {
          $case: 'chat',
          value: {
            messages: [{ role: 'user', content: { $case: 'text', value: 'hi' }, metadata: '' }],
            addGenerationPrompt: true,
            continueFinalMessage: false,
            templateArgs: {},
          },
        },
        media: [],
        maxPromptTokens: undefined,
      },
      sampling: {
        temperature: undefined,
        topP: undefined,
        topK: undefined,
        minP: undefined,
        repetitionPenalty: undefined,
        presencePenalty: undefined,
        frequencyPenalty: undefined,
        logitBias: {},
        seed: undefined,
        allowedTokenIds: [],
        badWords: [],
        maxTokens: undefined,
        minTokens: undefined,
        stopStrings: [],
        stopTokenIds: [],
        ignoreEos: false,
        numChoices: undefined,
      },
      output: {
        numLogprobs: undefined,
        numPromptLogprobs: undefined,
        skipSpecialTokens: undefined,
        includeStopString: false,
        splitReasoning: false,
        returnPromptTokenIds: false,
      },
      priority: undefined,
    });
    assert.equal(form.numChoices, 1);
  });

  it('translates every sampling field', () => {
    const { start } = parse({
      temperature: 0.5,
      top_p: 0.9,
      top_k: -1,
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: -2,
      frequency_penalty: 2,
      logit_bias: { '7': -100, '8': 1.5 },
      seed: 42,
      allowed_token_ids: [7, 8],
      bad_words: ['no'],
      max_tokens: 9,
      min_tokens: 3,
      stop: ['a', 'b'],
      stop_token_ids: [5],
      ignore_eos: true,
      n: 2,
      priority: -3,
      truncate_prompt_tokens: -1,
      skip_special_tokens: false,
      include_stop_str_in_output: true,
    });

    assert.deepEqual(start.sampling, {
      temperature: 0.5,
      topP: 0.9,
      topK: -1,
      minP: 0.1,
      repetitionPenalty: 1.1,
      presencePenalty: -2,
      frequencyPenalty: 2,
      logitBias: { 7: -100, 8: 1.5 },
      seed: 42n,
      allowedTokenIds: [7, 8],
      badWords: ['no'],
      maxTokens: 9,
      minTokens: 3,
      stopStrings: ['a', 'b'],
      stopTokenIds: [5],
      ignoreEos: true,
      numChoices: 2,
    });
    assert.equal(start.priority, -3);
    assert.equal(start.prompt?.maxPromptTokens, -1);
    assert.equal(start.output?.skipSpecialTokens, false);
    assert.equal(start.output?.includeStopString, true);
  });

  it('prefers max_completion_tokens to max_tokens', () => {
    const { start } = parse({ max_tokens: 5, max_completion_tokens: 6 });

    assert.equal(start.sampling?.maxTokens, 6);
  });

  it('draws the seed for -1 and keeps the bits of other negative ones', () => {
    assert.equal(parse({ seed: -1 }).start.sampling?.seed, undefined);
    assert.equal(parse({ seed: -2 }).start.sampling?.seed, 2n ** 64n - 2n);
  });

  it('ignores unknown fields and fields set to null', () => {
    const { start } = parse({
      user: 'me',
      store: true,
      temperature: null,
      stop: null,
      tools: null,
    });

    assert.equal(start.sampling?.temperature, undefined);
  });

  it('merges a literal extra_body, under what the top level sets', () => {
    const { start } = parse({
      top_k: 5,
      extra_body: { top_k: 7, min_p: 0.2, return_reasoning: true, seed: null },
    });

    assert.equal(start.sampling?.topK, 5);
    assert.equal(start.sampling?.minP, 0.2);
    assert.equal(start.output?.splitReasoning, true);
  });

  it('is not fooled by keys that name prototypes', () => {
    const body: unknown = JSON.parse(
      '{"messages":[{"role":"user","content":"hi"}],"extra_body":{"__proto__":{"n":2}}}',
    );

    assert.equal(parseChatRequest(body).start.sampling?.numChoices, undefined);
  });

  it('takes enable_thinking from the top level, the template arguments or the effort', () => {
    const kwargs = { chat_template_kwargs: { enable_thinking: false, other: 1 } };

    assert.deepEqual(templateOf({ enable_thinking: false }).templateArgs, {
      enable_thinking: false,
    });
    assert.deepEqual(templateOf(kwargs).templateArgs, { enable_thinking: false, other: 1 });
    assert.deepEqual(templateOf({ reasoning_effort: 'none' }).templateArgs, {
      enable_thinking: false,
    });
    assert.deepEqual(templateOf({ reasoning_effort: 'low' }).templateArgs, {
      enable_thinking: true,
    });
    assert.deepEqual(templateOf({ reasoning_effort: 'high', ...kwargs }).templateArgs, {
      enable_thinking: false,
      other: 1,
    });
  });

  it('continues the final message without opening another', () => {
    const { continueFinalMessage, addGenerationPrompt } = templateOf({
      continue_final_message: true,
    });

    assert.deepEqual(
      { continueFinalMessage, addGenerationPrompt },
      {
        continueFinalMessage: true,
        addGenerationPrompt: false,
      },
    );
  });

  it('reads roles, parts, names and refusals of a conversation', () => {
    const { messages } = templateOf({
      messages: [
        { role: 'developer', content: 'be brief' },
        { role: 'user', name: 'ann', content: [{ type: 'text', text: 'a' }, 'b'] },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
        { role: 'assistant', tool_calls: [] },
        { role: 'tool', content: 'c' },
      ],
    });

    const text = (value: string) => ({ part: { $case: 'text', value } });
    assert.deepEqual(messages, [
      { role: 'system', content: { $case: 'text', value: 'be brief' }, metadata: '' },
      {
        role: 'user',
        content: { $case: 'parts', value: { parts: [text('a'), text('b')] } },
        metadata: 'ann',
      },
      {
        role: 'assistant',
        content: { $case: 'parts', value: { parts: [text('no')] } },
        metadata: '',
      },
      { role: 'assistant', content: undefined, metadata: '' },
      { role: 'tool', content: { $case: 'text', value: 'c' }, metadata: '' },
    ]);
  });
});

const REFUSALS: readonly (readonly [object, string, string])[] = [
  [{ messages: undefined }, 'messages', 'is required'],
  [{ messages: [] }, 'messages', 'at least one message, got a list of 0'],
  [{ messages: 'hi' }, 'messages', 'got "hi"'],
  [{ messages: ['hi'] }, 'messages[0]', 'an object with role and content'],
  [{ messages: [{ content: 'hi' }] }, 'messages[0].role', 'got nothing'],
  [{ messages: [{ role: 'boss', content: 'hi' }] }, 'messages[0].role', 'got "boss"'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'a text or a list of parts'],
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
    'messages[0].tool_calls',
    'tool calls are not supported',
  ],
  [{ model: 7 }, 'model', 'a model name, got 7'],
  [{ stream: 'yes' }, 'stream', 'true or false, got "yes"'],
  [{ temperature: 2.1 }, 'temperature', 'a number from 0 to 2, got 2.1'],
  [{ temperature: -0.1 }, 'temperature', 'got -0.1'],
  [{ temperature: 'hot' }, 'temperature', 'got "hot"'],
  [{ top_p: 0 }, 'top_p', 'above 0 and at most 1, got 0'],
  [{ top_p: 1.01 }, 'top_p', 'got 1.01'],
  [{ top_k: -2 }, 'top_k', 'got -2'],
  [{ top_k: 1.5 }, 'top_k', 'got 1.5'],
  [{ min_p: 1.1 }, 'min_p', 'from 0 to 1'],
  [{ repetition_penalty: 0 }, 'repetition_penalty', 'above 0'],
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
  [{ echo: 'x' }, 'echo', 'true or false'],
  [{ extra_body: [] }, 'extra_body', 'an object, got a list of 0'],
  [{ extra_body: { n: 0 } }, 'n', 'from 1 to 128'],
  [{ enable_thinking: 'no' }, 'enable_thinking', 'true or false'],
  [{ reasoning_effort: 'huge' }, 'reasoning_effort', 'one of none'],
  [{ chat_template_kwargs: 7 }, 'chat_template_kwargs', 'an object'],
  [
    { enable_thinking: true, chat_template_kwargs: { enable_thinking: false } },
    'enable_thinking',
    'differs',
  ],
  [
    { add_generation_prompt: true, continue_final_message: true },
    'add_generation_prompt',
    'together with continue_final_message',
  ],
  [{ tools: [{}] }, 'tools', 'not supported'],
  [{ functions: [{}] }, 'functions', 'not supported'],
  [{ tool_choice: 'auto' }, 'tool_choice', 'only "none"'],
  [{ function_call: 'auto' }, 'function_call', 'only "none"'],
  [{ response_format: { type: 'json_object' } }, 'response_format', 'not supported'],
  [{ structured_outputs: { json: {} } }, 'structured_outputs', 'not supported'],
  [{ guided_json: {} }, 'guided_json', 'not supported'],
  [{ guided_regex: 'a' }, 'guided_regex', 'not supported'],
  [{ guided_choice: ['a'] }, 'guided_choice', 'not supported'],
  [{ guided_grammar: 'a' }, 'guided_grammar', 'not supported'],
  [{ modalities: ['text', 'audio'] }, 'modalities', 'answers are text'],
  [{ best_of: 2 }, 'best_of', 'not supported'],
  [{ suffix: 'a' }, 'suffix', 'not supported'],
  [{ use_beam_search: true }, 'use_beam_search', 'not supported'],
  [{ chat_template: 'x' }, 'chat_template', '--chat-template'],
];

describe('parseChatRequest refuses', () => {
  for (const [fields, param, message] of REFUSALS) {
    it(`${JSON.stringify(fields).slice(0, 70)}, naming ${param}`, () => {
      const refusal = refusalOf(fields);

      assert.equal(refusal.reason, 'INVALID_REQUEST');
      assert.equal(refusal.param, param);
      assert(refusal.message.includes(message), refusal.message);
      assert(refusal.message.includes(param), refusal.message);
    });
  }

  it('quotes at most the beginning of what it received', () => {
    const { message } = refusalOf({ temperature: 'x'.repeat(5000) });

    assert(message.length < 120, message);
  });
});

describe('parseChatRequest accepts', () => {
  const harmless: readonly object[] = [
    { tools: [] },
    { tool_choice: 'none' },
    { response_format: { type: 'text' } },
    { modalities: ['text'] },
    { best_of: 1 },
    { best_of: 3, n: 3 },
    { suffix: '' },
    { use_beam_search: false },
    { top_logprobs: 0 },
    { stop: [] },
    { truncate_prompt_tokens: 3 },
    { temperature: 0, top_p: 1, top_k: 0, min_p: 0, n: 128, presence_penalty: 2 },
    { stream: true, stream_options: { include_usage: null } },
  ];
  for (const fields of harmless) {
    it(JSON.stringify(fields), () => {
      assert.doesNotThrow(() => parse(fields));
    });
  }
});
