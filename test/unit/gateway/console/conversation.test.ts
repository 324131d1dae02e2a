import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EMPTY_ANSWER, tokenRate, withEvent } from '#gateway/console/chat/answer.ts';
import {
  type AnswerTurn,
  type Attachment,
  type ChatOptions,
  chatBody,
  screenshotBefore,
  type Turn,
  titleOf,
} from '#gateway/console/chat/conversation.ts';
import { SseReader } from '#gateway/console/client/sse.ts';

const OPTIONS: ChatOptions = {
  model: 'm',
  system: 'be brief',
  isThinking: false,
  temperature: 0.5,
  maxTokens: 7,
};

const IMAGE: Attachment = {
  kind: 'image',
  name: 's.png',
  type: 'image/png',
  bytes: Uint8Array.of(1),
  width: 2,
  height: 3,
};
const SPEECH: Attachment = { ...IMAGE, kind: 'audio', name: 'a.wav', type: 'audio/wav' };

function asks(
  text: string,
  attachments: readonly Attachment[] = [],
  isTranscription = false,
): Turn {
  return { role: 'user', text, attachments, isTranscription };
}

function answers(content: string, end: AnswerTurn['end'] = 'stop'): Turn {
  return { ...EMPTY_ANSWER, content, end };
}

describe('chatBody', () => {
  it('sends the system message, the files before the words, and the switches', () => {
    const body = chatBody([asks('hi', [IMAGE, SPEECH])], OPTIONS, ({ name }) => name);

    assert.deepEqual(body, {
      model: 'm',
      messages: [
        { role: 'system', content: 'be brief' },
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url: 'data:image/png;base64,s.png' } },
            { type: 'input_audio', input_audio: { format: 'wav', data: 'a.wav' } },
            { type: 'text', text: 'hi' },
          ],
        },
      ],
      temperature: 0.5,
      max_tokens: 7,
      stream: true,
      stream_options: { include_usage: true },
      enable_thinking: false,
      return_reasoning: true,
    });
  });

  it('leaves out what failed and what was only written down', () => {
    const turns = [
      asks('one'),
      answers('ONE'),
      asks('two'),
      answers('', 'failed'),
      asks('', [SPEECH], true),
      answers('three'),
      asks('four'),
      answers('FO', 'stopped'),
      asks('five'),
    ];

    const { messages } = chatBody(turns, { ...OPTIONS, system: '' }, () => '');

    assert.deepEqual(
      messages.map(({ content }) => content),
      ['one', 'ONE', 'four', 'FO', 'five'],
    );
  });
});

describe('screenshotBefore', () => {
  it('finds the last screenshot up to an answer', () => {
    const later = { ...IMAGE, name: 'later.png' };
    const turns = [asks('', [IMAGE]), answers('a'), asks('again'), answers('b'), asks('', [later])];

    assert.equal(screenshotBefore(turns, 3), IMAGE);
    assert.equal(screenshotBefore(turns, 0), undefined);
  });
});

describe('titleOf', () => {
  it('is the beginning of the first words', () => {
    assert.equal(titleOf({ turns: [asks('', [IMAGE]), answers('x'.repeat(99))] }).length, 61);
    assert.equal(titleOf({ turns: [] }), '');
  });

  it('has no tag of an answer to a recording', () => {
    const turns = [asks('', [SPEECH]), answers('<answer>do(action="Launch", app="Maps")</answer>')];

    assert.equal(titleOf({ turns }), 'do(action="Launch", app="Maps")');
  });
});

describe('an answer that streams', () => {
  const events = [
    '{"choices":[{"delta":{"role":"assistant","content":""}}]}',
    '{"choices":[{"delta":{"reasoning_content":"hm"}}]}',
    '{"choices":[{"delta":{"content":"do("},"finish_reason":null}]}',
    '{"choices":[{"delta":{"content":")"},"finish_reason":"stop"}]}',
    '{"choices":[],"usage":{"completion_tokens":11}}',
    '[DONE]',
  ];

  it('gathers reasoning, content, usage and times', () => {
    let answer = EMPTY_ANSWER;
    events.forEach((data, index) => {
      answer = withEvent(answer, data, 100 * (index + 1));
    });

    assert.deepEqual(answer, {
      ...EMPTY_ANSWER,
      reasoning: 'hm',
      content: 'do()',
      end: 'stop',
      ttftMs: 200,
      totalMs: 400,
      numTokens: 11,
    });
    assert.equal(tokenRate(answer), 50);
  });

  it('that fails midway keeps what has come', () => {
    const begun = withEvent(EMPTY_ANSWER, '{"choices":[{"delta":{"content":"a"}}]}', 1);

    const failed = withEvent(begun, '{"error":{"message":"no backbone"}}', 2);

    assert.deepEqual([failed.content, failed.end, failed.error], ['a', 'failed', 'no backbone']);
  });
});

describe('SseReader', () => {
  it('gives the same events however the text is cut', () => {
    const text = ': open\n\ndata: {"a":1}\n\ndata:two\ndata: lines\r\n\r\ndata: [DONE]\n\n';
    for (let size = 1; size <= text.length; size++) {
      const reader = new SseReader();
      const found: string[] = [];
      for (let at = 0; at < text.length; at += size)
        found.push(...reader.push(text.slice(at, at + size)));
      assert.deepEqual(found, ['{"a":1}', 'two\nlines', '[DONE]'], `pieces of ${size}`);
    }
  });

  it('refuses an event without an end', () => {
    assert.throws(() => new SseReader().push('x'.repeat(5_000_000)), /too long/);
  });
});
