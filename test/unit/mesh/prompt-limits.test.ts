import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { checkPromptSize } from '#mesh/prompt/prompt-limits.ts';
import { Prompt } from '#protos/autoglm/llm/v1/prompt.ts';
import { refusal } from '#test/refusal.ts';

const limits = {
  maxMessages: 3,
  maxMessageParts: 4,
  maxTextBytes: 100,
  maxContextBytes: 50n,
  maxModelLen: 7,
};

type Shape = Parameters<typeof Prompt.fromPartial>[0];
type Message = { role?: string; text?: string; parts?: string[]; metadata?: string };

function chat(...messages: Message[]): Shape {
  return {
    form: {
      $case: 'chat',
      value: {
        messages: messages.map(({ role = '', text, parts, metadata = '' }) => ({
          role,
          metadata,
          content:
            parts === undefined
              ? { $case: 'text' as const, value: text ?? '' }
              : {
                  $case: 'parts' as const,
                  value: {
                    parts: parts.map((value) => ({ part: { $case: 'text' as const, value } })),
                  },
                },
        })),
      },
    },
  };
}

const text = (value: string): Shape => ({ form: { $case: 'text', value: { text: value } } });

const accepted: { name: string; prompt: Shape }[] = [
  { name: 'no prompt at all, which is refused elsewhere', prompt: {} },
  { name: 'as many messages as may be', prompt: chat({}, {}, {}) },
  { name: 'as many parts as may be', prompt: chat({ parts: ['', ''] }, { parts: ['', ''] }) },
  { name: 'as much text as the context may hold', prompt: text('x'.repeat(50)) },
  {
    name: 'token ids, which have a length of their own',
    prompt: { form: { $case: 'tokens', value: { tokenIds: Array(1000).fill(1) } } },
  },
];

const refused: { name: string; prompt: Shape; matches: ReturnType<typeof refusal> }[] = [
  {
    name: 'a message too many',
    prompt: chat({}, {}, {}, {}),
    matches: refusal(
      'INVALID_REQUEST',
      /4 entries, at most 3 .*"max-messages"/,
      'prompt.chat.messages',
    ),
  },
  {
    name: 'parts of all messages together',
    prompt: chat({ parts: ['', '', ''] }, { parts: ['', ''] }),
    matches: refusal(
      'INVALID_REQUEST',
      /over 4 parts.*"max-message-parts"/,
      'prompt.chat.messages',
    ),
  },
  {
    name: 'more media items than there may be parts',
    prompt: { ...text('x'), media: Array(5).fill({}) },
    matches: refusal('INVALID_REQUEST', /media has over 4 parts/, 'media'),
  },
  {
    name: 'text beyond the context, bytes counted and not characters',
    prompt: text('微'.repeat(17)),
    matches: refusal(
      'CONTEXT_LENGTH_EXCEEDED',
      /51 bytes .* 50 bytes.* maximum context length is 7 tokens/,
      'prompt.text',
    ),
  },
  {
    name: 'text of roles, names, texts and parts together',
    prompt: chat(
      { role: 'r'.repeat(10), text: 't'.repeat(10) },
      { parts: ['p'.repeat(10), 'q'.repeat(10)], metadata: 'm'.repeat(11) },
    ),
    matches: refusal('CONTEXT_LENGTH_EXCEEDED', /51 bytes/, 'prompt.chat.messages'),
  },
  {
    name: 'text beyond what is taken at all',
    prompt: text('x'.repeat(101)),
    matches: refusal('PAYLOAD_TOO_LARGE', /101 bytes .* 100 .*"max-prompt-mb"/, 'prompt.text'),
  },
];

describe('checkPromptSize', () => {
  for (const { name, prompt } of accepted) {
    it(`takes ${name}`, () => checkPromptSize(Prompt.fromPartial(prompt), limits));
  }

  for (const { name, prompt, matches } of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(() => checkPromptSize(Prompt.fromPartial(prompt), limits), matches);
    });
  }
});
