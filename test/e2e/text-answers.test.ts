import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { AIMessageChunk, HumanMessage } from '@langchain/core/messages';
import { ChatOpenAI } from '@langchain/openai';
import OpenAI from 'openai';
import {
  type Body,
  jsonPost,
  postChat,
  streamAnswer,
  userMessage,
} from '#test/e2e/request/chat-request.ts';
import { GOLDEN_TEXTS } from '#test/e2e/request/golden.ts';
import { imagePart, readMedia } from '#test/e2e/request/phone-cases.ts';
import { type Mesh, property, startMesh } from './mesh.ts';

const QUESTION = '打开微信';
const THOUGHT = '没有屏幕截图，直接启动微信。';
const WAV = readMedia('media/audio77.wav').toString('base64');
const ACTION = '<answer>do(action="Launch", app="微信")';

describe('phone-nano through every process', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh();
  });
  after(() => mesh.stop());

  for (const { question, enableThinking, answer, numPromptTokens } of GOLDEN_TEXTS) {
    const request = { messages: userMessage(question), enable_thinking: enableThinking };
    const name = `${question} (${enableThinking ? 'thinking' : 'not thinking'})`;

    it(`answers ${name} as the reference does`, async () => {
      const { status, body } = await postChat(mesh.url, request);

      assert.equal(status, 200);
      assert.equal(property(body, 'choices', 0, 'message', 'content'), answer);
      assert.equal(property(body, 'choices', 0, 'finish_reason'), 'stop');
      assert.equal(property(body, 'usage', 'prompt_tokens'), numPromptTokens);
    });

    it(`streams ${name} as the reference does`, async () => {
      const streamed = await streamAnswer(mesh.url, request);

      assert.deepEqual(streamed, { text: answer, done: true, error: undefined });
    });
  }

  it('answers many at once as it answers one', async () => {
    const answers = await Promise.all(
      [...GOLDEN_TEXTS, ...GOLDEN_TEXTS].map(({ question, enableThinking }) =>
        streamAnswer(mesh.url, {
          messages: userMessage(question),
          enable_thinking: enableThinking,
        }),
      ),
    );

    assert.deepEqual(
      answers.map(({ text }) => text),
      [...GOLDEN_TEXTS, ...GOLDEN_TEXTS].map(({ answer }) => answer),
    );
  });

  it('opens an app for one who first asked who it is', async () => {
    const [itself, opened = ''] = await chatOf(['Who are you?', QUESTION]);

    assert.equal(itself, GOLDEN_TEXTS[1]?.answer);
    assert.match(opened, /<answer>do\(action="Launch", app="微信"\)$/);
  });

  it('does nothing for a question it declines, and goes on with the chat', async () => {
    const questions = [QUESTION, 'What is the capital of France?', 'open Photos'];
    const [opened = '', declined = '', openedNext = ''] = await chatOf(questions);

    assert.match(opened, /<answer>do\(action="Launch", app="微信"\)$/);
    assert.notEqual(declined, '');
    assert.doesNotMatch(declined, /do\(|finish\(/);
    assert.match(openedNext, /<answer>do\(action="Launch", app="Photos"\)$/);
  });

  /** Asks the questions of one chat, each with all messages before it; resolves to the answers. */
  async function chatOf(questions: readonly string[]): Promise<string[]> {
    const messages: Body[] = [];
    const answers: string[] = [];
    for (const content of questions) {
      messages.push({ role: 'user', content });
      const { status, body } = await postChat(mesh.url, { messages });
      assert.equal(status, 200, JSON.stringify(body));
      const answer = String(property(body, 'choices', 0, 'message', 'content'));
      messages.push({ role: 'assistant', content: answer });
      answers.push(answer);
    }
    return answers;
  }

  it('counts cached tokens when a long prompt comes again', async () => {
    const messages = userMessage('你是谁? '.repeat(20));
    await postChat(mesh.url, { messages, max_tokens: 1 });

    const { body } = await postChat(mesh.url, { messages, max_tokens: 1 });

    const cached = Number(property(body, 'usage', 'prompt_tokens_details', 'cached_tokens'));
    assert(cached >= 16, `${cached} tokens cached`);
  });

  const openai = () => new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none' });

  it('ends before a character that max_tokens cuts, streamed or not, and counts its token', async () => {
    const tokenized = await fetch(`${mesh.url}/tokenize`, jsonPost({ prompt: '🜲' }));
    const first = Number(property(await tokenized.json(), 'tokens', 0));
    const request = {
      model: 'phone-nano',
      prompt: 'a',
      max_tokens: 1,
      logprobs: 0,
      ...{ allowed_token_ids: [first], return_token_ids: true },
    };

    const whole = await openai().completions.create(request);
    const chunks: OpenAI.Completion[] = [];
    for await (const chunk of await openai().completions.create({ ...request, stream: true })) {
      chunks.push(chunk);
    }

    assert.equal(whole.choices[0]?.text, '');
    assert.equal(whole.usage?.completion_tokens, 1);
    assert.deepEqual(property(whole.choices[0], 'token_ids'), [first]);
    const last = chunks.at(-1)?.choices[0];
    assert.equal(chunks.map(({ choices }) => choices[0]?.text).join(''), '');
    assert.equal(last?.finish_reason, 'length');
    assert.deepEqual(property(last, 'token_ids'), [first]);
    assert.deepEqual(last.logprobs?.tokens, ['\ufffd']);
  });

  it('brings the last token with the finish of each of several choices', async () => {
    const request = {
      model: 'phone-nano',
      messages: [{ role: 'user', content: '你是谁?' }],
      n: 2,
      max_tokens: 3,
      logprobs: true,
    } satisfies OpenAI.ChatCompletionCreateParams;
    const finals: unknown[] = [];
    const texts = ['', ''];
    const numsOfTokens = [0, 0];

    for await (const chunk of await openai().chat.completions.create({
      ...request,
      stream: true,
    })) {
      for (const { index, delta, logprobs, finish_reason: end } of chunk.choices) {
        // Tokens that come faster than they are sent come together.
        const numTokens = logprobs?.content?.length ?? 0;
        numsOfTokens[index] = (numsOfTokens[index] ?? 0) + numTokens;
        texts[index] += delta.content ?? '';
        if (end !== null) finals.push([index, end, numTokens > 0]);
      }
    }
    const whole = await openai().chat.completions.create({ ...request, temperature: 0 });

    assert.deepEqual(finals.sort(), [
      [0, 'length', true],
      [1, 'length', true],
    ]);
    assert.deepEqual(numsOfTokens, [3, 3]);
    assert.equal(whole.choices[0]?.logprobs?.content?.length, 3);
    assert(
      texts.every((text) => text !== ''),
      JSON.stringify(texts),
    );
  });

  it('answers with the likeliest tokens for a top_p of 0', async () => {
    const ask = async (fields: object) => {
      const { body } = await postChat(mesh.url, { messages: userMessage('你是谁?'), ...fields });
      return property(body, 'choices', 0, 'message', 'content');
    };

    assert.equal(await ask({ temperature: 2, top_p: 0, seed: 1 }), await ask({ temperature: 0 }));
  });

  it('draws the same for the same 64 bits of a seed, and other tokens for its neighbour', async () => {
    const ask = async (seed: string) => {
      const fields = '"prompt":"a","max_tokens":24,"temperature":2,"return_token_ids":true';
      const body = `{${fields},"seed":${seed}}`;
      const answer = await fetch(`${mesh.url}/v1/completions`, { ...jsonPost({}), body });
      return JSON.stringify(property(await answer.json(), 'choices', 0, 'token_ids'));
    };
    const drawn = await ask('9007199254740993');

    assert.equal(await ask('9007199254740993'), drawn);
    assert.notEqual(await ask('9007199254740992'), drawn);
  });

  it('embeds texts, a screenshot and a recording, with the same bits alone and among others', async () => {
    const client = openai();
    const input = ['打开微信', 'open WeChat', '你是谁? '.repeat(60), '打开微信'];
    const all = await client.embeddings.create({ model: 'phone-nano', input });
    for (const pooling of ['last', 'mean']) {
      const request = { model: 'phone-nano', ...{ pooling } };
      const many = await client.embeddings.create({ ...request, input });
      const alone = await Promise.all(
        input.map((text) => client.embeddings.create({ ...request, input: text })),
      );

      const vectors = many.data.map(({ embedding }) => embedding);
      assert.deepEqual(
        alone.map(({ data }) => data[0]?.embedding),
        vectors,
      );
      assert.deepEqual(vectors[3], vectors[0]);
      for (const vector of vectors) assert(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
    }
    assert.equal(all.data[0]?.embedding.length, 256);
    const parts = [
      imagePart(readMedia('media/image8.png')),
      { type: 'input_audio', input_audio: { data: WAV, format: 'wav' } },
    ];
    const messages = userMessage(parts);
    for (const pooling of ['mean', 'last']) {
      const request = jsonPost({ messages, pooling });
      const body: unknown = await (await fetch(`${mesh.url}/v1/embeddings`, request)).json();
      assert.equal(property(body, 'data', 0, 'embedding', 'length'), 256);
      assert(Number(property(body, 'usage', 'prompt_tokens_details', 'image_tokens')) > 0);
      assert(Number(property(body, 'usage', 'prompt_tokens_details', 'audio_tokens')) > 0);
    }
  });

  it('serves the Anthropic package, whole and streamed', async () => {
    const client = new Anthropic({ baseURL: mesh.url, apiKey: 'none' });
    for (const { question, enableThinking, numPromptTokens } of GOLDEN_TEXTS) {
      const request = {
        model: 'phone-nano',
        max_tokens: 200,
        messages: [{ role: 'user' as const, content: question }],
        thinking: enableThinking
          ? ({ type: 'enabled', budget_tokens: 1024 } as const)
          : ({ type: 'disabled' } as const),
      };
      const { messages } = request;
      const chat = { messages, enable_thinking: enableThinking, return_reasoning: true };
      const { body } = await postChat(mesh.url, chat);
      const expected = property(body, 'choices', 0, 'message');

      const whole = await client.messages.create(request);
      const streamed = await client.messages.stream(request).finalMessage();

      for (const { content, stop_reason, usage } of [whole, streamed]) {
        const text = content.find(({ type }) => type === 'text');
        // A model that may think need not.
        const thoughts = content.find(({ type }) => type === 'thinking');
        assert.equal(property(text, 'text'), property(expected, 'content'));
        assert.equal(property(thoughts, 'thinking') ?? null, property(expected, 'reasoning'));
        assert.equal(stop_reason, 'end_turn');
        const numInput = usage.input_tokens + (usage.cache_read_input_tokens ?? 0);
        assert.equal(numInput, numPromptTokens);
      }
    }
    const counted = await client.messages.countTokens({
      model: 'phone-nano',
      messages: [{ role: 'user', content: GOLDEN_TEXTS[0]?.question ?? '' }],
      thinking: { type: GOLDEN_TEXTS[0]?.enableThinking === true ? 'adaptive' : 'disabled' },
    });
    assert.equal(counted.input_tokens, GOLDEN_TEXTS[0]?.numPromptTokens);
  });

  it('serves the openai package', async () => {
    const client = openai();
    const models = await client.models.list();
    const completion = await client.chat.completions.create({
      model: models.data[0]?.id ?? '',
      messages: [{ role: 'user', content: '你是谁?' }],
    });

    assert.equal(models.data[0]?.id, 'phone-nano');
    assert.equal(completion.choices[0]?.message.content, GOLDEN_TEXTS[0]?.answer);
  });

  it("streams to the openai package, with the model's switches as extra fields", async () => {
    const client = openai();
    const extras = { enable_thinking: true, return_reasoning: true };
    const stream = await client.chat.completions.create({
      model: 'phone-nano',
      messages: [{ role: 'user', content: QUESTION }],
      stream: true,
      stream_options: { include_usage: true },
      ...extras,
    });

    let content = '';
    let reasoning = '';
    let totalTokens = 0;
    for await (const chunk of stream) {
      const delta = chunk.choices[0]?.delta;
      content += delta?.content ?? '';
      reasoning += String(property(delta, 'reasoning_content') ?? '');
      totalTokens = chunk.usage?.total_tokens ?? 0;
    }

    assert.equal(reasoning, THOUGHT);
    assert.equal(content, ACTION);
    assert(totalTokens > 0);
  });

  it('takes a literal extra_body', async () => {
    const { body } = await postChat(mesh.url, {
      messages: userMessage(QUESTION),
      extra_body: { return_reasoning: true },
    });

    assert.equal(property(body, 'choices', 0, 'message', 'reasoning_content'), THOUGHT);
    assert.equal(property(body, 'choices', 0, 'message', 'content'), ACTION);
  });

  function langChain(modelKwargs: Record<string, unknown>): ChatOpenAI {
    return new ChatOpenAI({
      model: 'phone-nano',
      apiKey: 'none',
      configuration: { baseURL: `${mesh.url}/v1` },
      modelKwargs,
    });
  }

  it('serves LangChain', async () => {
    const message = await langChain({}).invoke([new HumanMessage('Who are you?')]);

    assert.equal(message.content, GOLDEN_TEXTS[1]?.answer);
  });

  it('streams to LangChain, with switches through modelKwargs', async () => {
    const model = langChain({ enable_thinking: true, return_reasoning: true });
    let whole = new AIMessageChunk('');
    for await (const chunk of await model.stream([new HumanMessage(QUESTION)])) {
      whole = whole.concat(chunk);
    }

    assert.equal(whole.content, ACTION);
  });
});
