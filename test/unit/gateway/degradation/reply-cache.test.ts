import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReplyCache } from '#gateway/degradation/reply-cache.ts';
import { ReplyRecorder } from '#gateway/degradation/reply-recorder.ts';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import { Channel, GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { ACCEPTED, deltaOf, eventOf, FINISHED } from '#test/unit/gateway/routes/answering.ts';

function recorded(...events: readonly GenerateEvent[]) {
  const recorder = new ReplyRecorder();
  for (const event of events) recorder.add(event, 0);
  return recorder.events;
}

function replyOf(text: string) {
  const events = recorded(ACCEPTED, deltaOf(text), FINISHED);
  return { name: 'nano', model: GetModelResponse.create(), events };
}

describe('ReplyRecorder', () => {
  it('runs the text of steps together, by choice and channel', () => {
    const step = (index: number, text: string, channel: Channel = Channel.CHANNEL_CONTENT) => {
      return { index, text, tokenIds: [index], channel };
    };
    const steps = [
      [step(0, 'hm', Channel.CHANNEL_REASONING), step(1, 'x')],
      [step(0, 'a'), step(1, 'y')],
      [step(0, 'b')],
    ].map((choices) => eventOf({ $case: 'delta', value: { choices } }));
    const before = JSON.stringify(steps);
    const [ofPrompt = []] = recorded(ACCEPTED, ...steps, FINISHED);

    assert.deepEqual(
      ofPrompt.map(({ $case }) => $case),
      ['accepted', 'delta', 'finished'],
    );
    const delta = ofPrompt[1];
    assert(delta?.$case === 'delta');
    assert.deepEqual(
      delta.value.choices.map(({ index, text, tokenIds }) => [index, text, tokenIds]),
      [
        [0, 'hm', [0]],
        [1, 'xy', [1, 1]],
        [0, 'ab', [0, 0]],
      ],
    );
    assert.equal(JSON.stringify(steps), before);
  });
});

describe('ReplyCache', () => {
  it('gives a reply back as it was', () => {
    const cache = new ReplyCache({ maxBytes: 10_000, ttlMs: 60_000 });
    cache.set('k', replyOf('hello'));

    assert.deepEqual(cache.get('k'), replyOf('hello'));
    assert.equal(cache.get('other'), undefined);
  });

  it('drops the least recently used, and keeps none that is too large', () => {
    const cache = new ReplyCache({ maxBytes: 3500, ttlMs: 60_000 });
    for (const key of ['a', 'b', 'c']) cache.set(key, replyOf(key));
    cache.get('a');
    cache.set('d', replyOf('d'));
    cache.set('large', replyOf('x'.repeat(4000)));

    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'large'].map((key) => cache.get(key) !== undefined),
      [true, false, true, true, false],
    );
    assert(cache.bytes <= 3500);
  });
});
