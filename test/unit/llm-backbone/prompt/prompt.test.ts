import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { ChatTemplate } from '#backbone/prompt/chat-template.ts';
import { completionRoom, preparePrompt, tokenizePrompt } from '#backbone/prompt/prompt.ts';
import { PromptDesk } from '#backbone/prompt/prompt-desk.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import { refusal } from '#test/refusal.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { TEXT_MODEL } from '#test/unit/llm-backbone/text-model.ts';

const path = join(TEXT_MODEL, 'chat_template.jinja');
const tokenizer = await Tokenizer.load(TEXT_MODEL);
const chatTemplate = new ChatTemplate({
  text: readFileSync(path, 'utf8'),
  path,
  specialTokens: {},
  contentFormat: 'auto',
});
const desk = (template: ChatTemplate | null) =>
  new PromptDesk(tokenizer, template, { contentTokens: 'text', timeoutMs: 60_000, maxWaiting: 8 });
const reader = {
  tokenizer,
  chatTemplate,
  desk: desk(chatTemplate),
  media: { placeholderIds: { image: 1481, audio: 1485 }, mergeSize: 2, hasMrope: false },
};
const noMedia = { items: [], shapes: async () => [] };
const { signal } = new AbortController();
const limits = { maxModelLen: 32, numCacheTokens: 64, blockSize: 16, maxTokens: undefined };

type Shape = Parameters<typeof Prompt.fromPartial>[0];

function prepare(
  shape: Shape,
  changes: Partial<Omit<typeof limits, 'maxTokens'> & { maxTokens: number }> = {},
) {
  const options = { ...limits, media: noMedia, signal, client: '', ...changes };
  return preparePrompt(Prompt.fromPartial(shape), reader, options);
}

const tokens = (tokenIds: number[]): Shape => ({ form: { $case: 'tokens', value: { tokenIds } } });
const chat = (...texts: string[]): Shape => ({
  form: {
    $case: 'chat',
    value: {
      messages: texts.map((value) => ({ role: 'user', content: { $case: 'text', value } })),
    },
  },
});

async function textOf(shape: Shape): Promise<string> {
  const call = { client: '', signal };
  const { tokenIds } = await tokenizePrompt(Prompt.fromPartial(shape), reader, call);
  return tokenIds
    .map((id) => Buffer.from(reader.tokenizer.vocabulary.bytesOf(id)).toString('utf8'))
    .join('');
}

describe('tokenizePrompt', () => {
  it('renders a conversation and opens the answer', async () => {
    assert.equal(await textOf(chat('hi')), '[gMASK]<sop><|user|>\nhi<|assistant|>\n');
  });

  it('renders media placeholders', async () => {
    const shape: Shape = {
      media: [{ modality: Modality.MODALITY_IMAGE }, { modality: Modality.MODALITY_AUDIO }],
      form: {
        $case: 'chat',
        value: {
          messages: [
            {
              role: 'user',
              content: {
                $case: 'parts',
                value: {
                  parts: [
                    { part: { $case: 'mediaIndex', value: 1 } },
                    { part: { $case: 'text', value: 'x' } },
                    { part: { $case: 'mediaIndex', value: 0 } },
                  ],
                },
              },
            },
          ],
        },
      },
    };

    assert.match(
      await textOf(shape),
      /<\|audio\|><\|end_of_audio\|>x<\|begin_of_image\|><\|image\|>/,
    );
  });

  it('continues the last message without opening another', async () => {
    const shape = chat('hi');
    assert.ok(shape.form?.$case === 'chat');
    const form = {
      $case: 'chat' as const,
      value: { ...shape.form.value, continueFinalMessage: true },
    };

    assert.equal(await textOf({ form }), '[gMASK]<sop><|user|>\nhi');
  });

  it('takes a text as it stands', async () => {
    assert.equal(
      await textOf({ form: { $case: 'text', value: { text: 'a<|user|>b' } } }),
      'a<|user|>b',
    );
  });

  it('refuses conversations without a template', async () => {
    const withoutTemplate = { ...reader, chatTemplate: null, desk: desk(null) };

    await assert.rejects(
      tokenizePrompt(Prompt.fromPartial(chat('hi')), withoutTemplate, { client: '', signal }),
      refusal('INVALID_REQUEST', /no chat template/),
    );
  });
});

describe('preparePrompt', () => {
  it('takes token ids as they stand', async () => {
    assert.deepEqual(await prepare(tokens([5, 6])), {
      tokenIds: [5, 6],
      placeholders: [],
      positions: null,
      audioDurationMs: 0,
    });
  });

  const refused: { name: string; shape: Shape; matches: ReturnType<typeof refusal> }[] = [
    {
      name: 'a request without a prompt',
      shape: {},
      matches: refusal('INVALID_REQUEST', /no prompt/),
    },
    {
      name: 'a prompt without tokens',
      shape: tokens([]),
      matches: refusal('INVALID_REQUEST', /no tokens/),
    },
    {
      name: 'no messages',
      shape: chat(),
      matches: refusal('INVALID_REQUEST', /messages is empty/, 'prompt.chat.messages'),
    },
    {
      name: 'an id beyond the vocabulary',
      shape: tokens([1490]),
      matches: refusal('INVALID_REQUEST', /1490 is not a token id/, 'prompt.tokens.token_ids'),
    },
    {
      name: 'a prompt beyond the context',
      shape: tokens(ids(0, 32)),
      matches: refusal(
        'CONTEXT_LENGTH_EXCEEDED',
        /maximum context length is 32 tokens\. However, you requested 1 output tokens and your prompt contains 32 input tokens, for a total of 33/,
      ),
    },
    {
      name: 'truncation to nothing',
      shape: { ...tokens([1]), maxPromptTokens: 0 },
      matches: refusal('INVALID_REQUEST', /got 0/, 'prompt.max_prompt_tokens'),
    },
    {
      name: 'truncation beyond the context',
      shape: { ...tokens([1]), maxPromptTokens: 33 },
      matches: refusal('INVALID_REQUEST', /1 to 32/),
    },
  ];
  for (const { name, shape, matches } of refused) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(prepare(shape), matches);
    });
  }

  it('refuses a prompt that can never fit into the KV cache, with the numbers', async () => {
    await assert.rejects(
      prepare(tokens(ids(0, 100)), { maxModelLen: 500 }),
      refusal(
        'REQUEST_EXCEEDS_KV_CACHE',
        /100 tokens, which need 7 blocks .* has 4, 64 tokens. .* maximum context length is 64 tokens/,
      ),
    );
  });

  it('refuses a part that names no media item', async () => {
    const content = {
      $case: 'parts' as const,
      value: { parts: [{ part: { $case: 'mediaIndex' as const, value: 3 } }] },
    };
    const form = { $case: 'chat' as const, value: { messages: [{ role: 'user', content }] } };

    await assert.rejects(prepare({ form }), refusal('INVALID_REQUEST', /media item 3/));
  });

  it('lets a prompt fill the context where nothing is generated', async () => {
    const prompt = await prepare(tokens(ids(0, 32)), { maxTokens: 0 });

    assert.equal(prompt.tokenIds.length, 32);
  });

  it('keeps the last tokens of a prompt that is to be cut', async () => {
    const prompt = await prepare({ ...tokens(ids(0, 50)), maxPromptTokens: 3 });

    assert.deepEqual(prompt.tokenIds, [47, 48, 49]);
  });

  it('keeps what leaves room for the completion with -1', async () => {
    const shape = { ...tokens(ids(0, 50)), maxPromptTokens: -1 };

    assert.equal((await prepare(shape)).tokenIds.length, 31);
    assert.equal((await prepare(shape, { maxTokens: 10 })).tokenIds.length, 22);
  });
});

describe('completionRoom', () => {
  it('is what the context leaves', () => {
    assert.equal(completionRoom(30, limits), 2);
  });

  it('is what the KV cache leaves, the last token not being computed', () => {
    assert.equal(completionRoom(60, { ...limits, maxModelLen: 500 }), 5);
  });
});
