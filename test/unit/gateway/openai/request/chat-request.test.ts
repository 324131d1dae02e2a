import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const MESSAGES = [{ role: 'user', content: 'hi' }];

function parse(fields: object) {
  return parseChatRequest({ messages: MESSAGES, ...fields });
}

function templateOf(fields: object) {
  const form = parse(fields).start.prompt?.form;
  assert(form?.$case === 'chat');
  return form.value;
}

/** The fields of a message that the client did not send. */
const UNSET = {
  metadata: '',
  name: undefined,
  reasoning: undefined,
  toolCalls: [],
  toolCallId: undefined,
} as const;

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
            messages: [{ ...UNSET, role: 'user', content: { $case: 'text', value: 'hi' } }],
            addGenerationPrompt: true,
            continueFinalMessage: false,
            tools: [],
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
        thinkingTokenBudget: undefined,
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
      cacheSalt: '',
      toolChoice: undefined,
      structuredOutput: undefined,
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
      thinking_token_budget: 7,
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
      thinkingTokenBudget: 7,
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

  it('reads the default model, the name of the request and the salt of its cache', () => {
    const { model, requestId, start } = parse({ model: '', request_id: 'a-1', cache_salt: 'é' });

    assert.equal(model, undefined);
    assert.equal(requestId, 'a-1');
    assert.equal(start.cacheSalt, 'é');
  });

  it('ignores fields without effect and fields set to null', () => {
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

  const SWITCHES: readonly (readonly [object, unknown])[] = [
    [{ thinking: { type: 'disabled' } }, false],
    [{ thinking: { type: 'enabled', clear_thinking: true } }, true],
    [{ thinking: { type: 'auto' } }, undefined],
    [{ reasoning: { effort: 'none' } }, false],
    [{ reasoning: { effort: 'low', summary: 'auto' } }, true],
    [{ reasoning: { enabled: false, effort: 'high' } }, false],
    [{ reasoning: { effort: null } }, undefined],
    [{ reasoning_effort: 'none', thinking: { type: 'enabled' } }, true],
    [
      { thinking: { type: 'disabled' }, enable_thinking: false, reasoning: { enabled: false } },
      false,
    ],
    [{ thinking_token_budget: -1 }, undefined],
    [{ chat_template_kwargs: { thinking: false } }, false],
  ];
  for (const [fields, expected] of SWITCHES) {
    it(`reads ${JSON.stringify(fields)} as enable_thinking ${expected}`, () => {
      assert.equal(templateOf(fields).templateArgs?.['enable_thinking'], expected);
    });
  }

  const BUDGETS: readonly (readonly [object, number | undefined])[] = [
    [{}, undefined],
    [{ thinking_token_budget: 0 }, 0],
    [{ thinking_token_budget: -1, thinking: { budget_tokens: 7 } }, 7],
    [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, 1024],
    [{ reasoning: { max_tokens: 9 }, thinking_token_budget: 9 }, 9],
  ];
  for (const [fields, expected] of BUDGETS) {
    it(`reads ${JSON.stringify(fields)} as a budget of ${expected} thinking tokens`, () => {
      assert.equal(parse(fields).start.sampling?.thinkingTokenBudget, expected);
    });
  }

  it('puts thoughts where the server usually does if the request does not say it', () => {
    const messages = [{ role: 'user', content: 'hi' }];
    const placeOf = (fields: object) => parseChatRequest({ messages, ...fields }, 'apart').form;

    assert.equal(placeOf({}).reasoning, 'apart');
    assert.equal(placeOf({ separate_reasoning: false }).reasoning, 'inline');
    assert.equal(placeOf({ include_reasoning: false }).reasoning, 'hidden');
  });

  const PLACES: readonly (readonly [object, string, boolean])[] = [
    [{}, 'inline', false],
    [{ return_reasoning: true }, 'apart', true],
    [{ separate_reasoning: true, stream_reasoning: true }, 'apart', true],
    [{ separate_reasoning: false }, 'inline', false],
    [{ include_reasoning: true }, 'apart', true],
    [{ include_reasoning: true, separate_reasoning: false }, 'inline', false],
    [{ include_reasoning: false }, 'hidden', true],
    [{ reasoning: { exclude: true } }, 'hidden', true],
  ];
  for (const [fields, place, isSplit] of PLACES) {
    it(`puts the thoughts of ${JSON.stringify(fields)} in the place "${place}"`, () => {
      const { form, start } = parse(fields);

      assert.equal(form.reasoning, place);
      assert.equal(start.output?.splitReasoning, isSplit);
    });
  }

  it('leaves out ids and log-probabilities of hidden thoughts', () => {
    const { form } = parse({ include_reasoning: false, logprobs: true, return_token_ids: true });

    assert.equal(form.numLogprobs, undefined);
    assert.equal(form.returnsTokenIds, false);
  });

  const USAGES: readonly (readonly [object, object])[] = [
    [
      { include_usage: false, continuous_usage_stats: true },
      { isFinal: false, isContinuous: false },
    ],
    [{ continuous_usage_stats: true }, { isFinal: true, isContinuous: true }],
    [{ include_usage: true }, { isFinal: true, isContinuous: false }],
    [
      { include_usage: null, include_obfuscation: false },
      { isFinal: false, isContinuous: false },
    ],
  ];
  for (const [options, expected] of USAGES) {
    it(`counts usage for ${JSON.stringify(options)} as ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(parse({ stream: true, stream_options: options }).form.streamUsage, expected);
    });
  }

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
        { role: 'assistant', tool_calls: [{ function: { name: 'f' } }] },
        { role: 'tool', content: 'c' },
      ],
    });

    const text = (value: string) => ({ part: { $case: 'text', value } });
    assert.deepEqual(messages, [
      { ...UNSET, role: 'system', content: { $case: 'text', value: 'be brief' } },
      {
        ...UNSET,
        role: 'user',
        name: 'ann',
        content: { $case: 'parts', value: { parts: [text('a'), text('b')] } },
      },
      { ...UNSET, role: 'assistant', content: { $case: 'parts', value: { parts: [text('no')] } } },
      { ...UNSET, role: 'assistant', content: undefined },
      {
        ...UNSET,
        role: 'assistant',
        content: undefined,
        toolCalls: [{ id: '', name: 'f', arguments: '' }],
      },
      { ...UNSET, role: 'tool', content: { $case: 'text', value: 'c' } },
    ]);
  });

  it('reads null and missing content as empty for every role', () => {
    const roles = ['system', 'user', 'assistant'];
    const calls = { role: 'assistant', tool_calls: [{ function: { name: 'f' } }] };
    const { messages } = templateOf({
      messages: [...roles, 'tool'].flatMap((role) => {
        const before = role === 'tool' ? [calls] : [];
        return [...before, { role }, ...before, { role, content: null }];
      }),
    });

    assert.deepEqual(
      messages.map(({ content }) => content),
      Array.from({ length: 10 }, () => undefined),
    );
  });

  it('keeps name and metadata apart', () => {
    const { messages } = templateOf({
      messages: [{ role: 'user', content: 'a', name: 'ann', metadata: 'm' }],
    });

    assert.deepEqual(messages, [
      {
        ...UNSET,
        role: 'user',
        content: { $case: 'text', value: 'a' },
        name: 'ann',
        metadata: 'm',
      },
    ]);
  });

  it('reads the thoughts of earlier turns under both names', () => {
    const { messages } = templateOf({
      messages: [
        { role: 'assistant', content: 'a', reasoning_content: 'r' },
        { role: 'assistant', content: 'b', reasoning: 's', reasoning_content: 'r' },
        { role: 'user', content: 'c', reasoning_content: 'r' },
      ],
    });

    assert.deepEqual(
      messages.map(({ reasoning }) => reasoning),
      ['r', 's', undefined],
    );
  });

  it('reads the tool calls of a history and their answers', () => {
    const path = join(PACKAGE_ROOT, 'test', 'testdata', 'field-inputs', 'tool-calls-history.json');
    const { messages } = templateOf(JSON.parse(readFileSync(path, 'utf8')));

    assert.deepEqual(messages[1]?.toolCalls, [{ id: 'c', name: 'f', arguments: '{}' }]);
    assert.equal(messages[1]?.content, undefined);
    assert.equal(messages[2]?.toolCallId, 'c');
  });

  it('reads calls with arguments as an object, and the older function_call', () => {
    const { messages } = templateOf({
      messages: [
        {
          role: 'assistant',
          tool_calls: [{ function: { name: 'f', arguments: { x: [1] } } }],
          function_call: { name: 'g', arguments: '{"y":2}' },
        },
        { role: 'tool', content: 'of f' },
        { role: 'tool', content: 'of g' },
      ],
    });

    assert.deepEqual(messages[0]?.toolCalls, [
      { id: '', name: 'f', arguments: '{"x":[1]}' },
      { id: '', name: 'g', arguments: '{"y":2}' },
    ]);
  });
});

describe('parseChatRequest with media', () => {
  it('lists them in the order of the parts that refer to them', () => {
    const url = 'data:image/png;base64,AAAA';
    const { start, media } = parse({
      messages: [
        { role: 'user', content: [{ type: 'image_url', image_url: { url } }, 'what?'] },
        {
          role: 'user',
          content: [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }],
        },
      ],
      mm_processor_kwargs: { max_pixels: 5 },
    });

    const form = start.prompt?.form;
    assert(form?.$case === 'chat');
    assert.deepEqual(
      form.value.messages.map(({ content }) => content),
      [
        {
          $case: 'parts',
          value: {
            parts: [
              { part: { $case: 'mediaIndex', value: 0 } },
              { part: { $case: 'text', value: 'what?' } },
            ],
          },
        },
        { $case: 'parts', value: { parts: [{ part: { $case: 'mediaIndex', value: 1 } }] } },
      ],
    );
    assert.deepEqual(
      media.references.map(({ modality, param }) => [modality, param]),
      [
        ['image', 'messages[0].content[0].image_url.url'],
        ['audio', 'messages[1].content[0].input_audio.data'],
      ],
    );
    assert.deepEqual(media.processorKwargs, { max_pixels: 5 });
  });

  it('refuses parts of other APIs, naming what there is', () => {
    const messages = [{ role: 'user', content: [{ type: 'video_url', video_url: { url: 'x' } }] }];

    assert.throws(() => parse({ messages }), {
      reason: 'UNSUPPORTED_MEDIA',
      param: 'messages[0].content[0]',
      message: /video_url parts are not accepted .* text, image_url, input_audio, audio_url/,
    });
  });
});

describe('parseChatRequest accepts', () => {
  const harmless: readonly object[] = [
    { tools: [] },
    { tool_choice: 'none' },
    { tool_choice: 'auto' },
    { parallel_tool_calls: false },
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
