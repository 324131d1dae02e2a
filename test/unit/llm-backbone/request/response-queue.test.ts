import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ResponseQueue } from '#backbone/request/response-queue.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  Channel,
  type ChoiceDelta,
  FinishReason,
  type GenerateResponse,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';

const never = new AbortController().signal;

/** Takes what a queue sends, and says that it has been sent when told to. */
class Connection {
  readonly sent: (string | undefined)[] = [];
  #onSent = () => {};

  send = ({ event }: GenerateResponse, onSent: () => void): void => {
    const ids = event?.$case === 'delta' ? event.value.choices[0]?.tokenIds : undefined;
    this.sent.push(ids === undefined ? event?.$case : `delta ${ids.join(' ')}`);
    this.#onSent = onSent;
  };

  take(): void {
    this.#onSent();
  }
}

function delta(...choices: Partial<ChoiceDelta>[]) {
  return {
    $case: 'delta' as const,
    value: {
      choices: choices.map((choice) => ({
        index: 0,
        tokenIds: [],
        text: '',
        channel: Channel.CHANNEL_CONTENT,
        logprobs: [],
        finish: undefined,
        toolCall: undefined,
        ...choice,
      })),
    },
  };
}

async function choicesOf(queue: ResponseQueue): Promise<ChoiceDelta[][]> {
  queue.end();
  const lists: ChoiceDelta[][] = [];
  for await (const { event } of queue.read(never)) {
    if (event?.$case === 'delta') lists.push(event.value.choices);
  }
  return lists;
}

describe('ResponseQueue', () => {
  it('melts deltas into one while the reader lags', async () => {
    const queue = new ResponseQueue();
    queue.push(delta({ tokenIds: [1], text: 'a' }, { index: 1, tokenIds: [8], text: 'x' }));
    queue.push(delta({ tokenIds: [2], text: 'b' }, { index: 1, tokenIds: [9], text: 'y' }));

    const [choices, ...rest] = await choicesOf(queue);

    assert.deepEqual(rest, []);
    assert.deepEqual(
      choices?.map(({ index, tokenIds, text }) => ({ index, tokenIds, text })),
      [
        { index: 0, tokenIds: [1, 2], text: 'ab' },
        { index: 1, tokenIds: [8, 9], text: 'xy' },
      ],
    );
  });

  it('melts entries of one call into one, and no others', async () => {
    const queue = new ResponseQueue();
    const channel = Channel.CHANNEL_TOOL_CALL;
    const part = (index: number, name: string | undefined, text: string) =>
      delta({ tokenIds: [1], text, channel, toolCall: { index, name } });
    queue.push(delta({ tokenIds: [1] }));
    queue.push(part(0, 'f', ''));
    queue.push(part(0, undefined, '{'));
    queue.push(delta({ tokenIds: [1] }));
    queue.push(part(0, undefined, '}'));
    queue.push(part(1, 'g', ''));
    queue.push(part(1, undefined, '{}'));

    const [choices] = await choicesOf(queue);

    assert.deepEqual(
      choices?.map(({ text, toolCall, tokenIds }) => ({ text, toolCall, num: tokenIds.length })),
      [
        { text: '{}', toolCall: { index: 0, name: 'f' }, num: 5 },
        { text: '{}', toolCall: { index: 1, name: 'g' }, num: 2 },
      ],
    );
  });

  it('keeps how a choice ended when it melts the last delta into the one before', async () => {
    const queue = new ResponseQueue();
    const finish = { index: 0, reason: FinishReason.FINISH_REASON_STOP, stop: undefined };
    queue.push(delta({ tokenIds: [1], text: 'a' }));
    queue.push(delta({ tokenIds: [2], text: 'b', finish }));

    const [choices] = await choicesOf(queue);

    assert.deepEqual(
      choices?.map(({ text, finish: end }) => [text, end]),
      [['ab', finish]],
    );
  });

  it('keeps channels apart and in order', async () => {
    const queue = new ResponseQueue();
    const channel = Channel.CHANNEL_REASONING;
    queue.push(delta({ tokenIds: [1] }));
    queue.push(delta({ tokenIds: [2], text: 'think', channel }));
    queue.push(delta({ tokenIds: [3], text: 'say' }));

    const [choices] = await choicesOf(queue);

    assert.deepEqual(
      choices?.map((choice) => [choice.channel, choice.text, choice.tokenIds]),
      [
        [Channel.CHANNEL_REASONING, 'think', [1, 2]],
        [Channel.CHANNEL_CONTENT, 'say', [3]],
      ],
    );
  });

  it('bounds the size of one message', async () => {
    const queue = new ResponseQueue();
    for (const id of ids(0, 1100)) queue.push(delta({ tokenIds: [id] }));

    const lists = await choicesOf(queue);

    assert.deepEqual(
      lists.map((choices) => choices[0]?.tokenIds.length),
      [512, 512, 76],
    );
  });

  it('holds tokens back behind the first ones until there are as many as wanted', async () => {
    const queue = new ResponseQueue(3);
    const reader = queue.read(never);
    const next = async () => (await reader.next()).value?.event;
    queue.push(delta({ tokenIds: [1] }));
    assert.deepEqual(await next(), delta({ tokenIds: [1] }));
    const second = next();
    queue.push(delta({ tokenIds: [2] }, { index: 1, tokenIds: [8] }));
    queue.push(delta({ tokenIds: [3] }, { index: 1, tokenIds: [9] }));
    assert.equal(await Promise.race([second, setImmediate('nothing')]), 'nothing');

    queue.push(delta({ tokenIds: [4] }));

    assert.deepEqual(await second, delta({ tokenIds: [2, 3, 4] }, { index: 1, tokenIds: [8, 9] }));
  });

  it('holds nothing back once a choice ends, or something else follows', async () => {
    const finish = { index: 0, reason: FinishReason.FINISH_REASON_STOP, stop: undefined };
    const releases: readonly ((queue: ResponseQueue) => void)[] = [
      (queue) => queue.push(delta({ tokenIds: [3], finish })),
      (queue) => queue.push({ $case: 'promptLogprobs', value: { tokens: [] } }),
      (queue) => queue.end(),
      (queue) => queue.fail(new MeshError('ENGINE_FAILED', 'gone')),
    ];
    for (const release of releases) {
      const queue = new ResponseQueue(512);
      const reader = queue.read(never);
      queue.push(delta({ tokenIds: [1] }));
      await reader.next();
      const held = reader.next();
      queue.push(delta({ tokenIds: [2] }));
      assert.equal(await Promise.race([held, setImmediate('nothing')]), 'nothing');

      release(queue);

      assert.equal((await held).value?.event?.$case, 'delta', String(release));
    }
  });

  it('delivers what is held before the error', async () => {
    const queue = new ResponseQueue();
    queue.push(delta({ tokenIds: [1] }));
    queue.fail(new MeshError('ENGINE_FAILED', 'gone'));
    const reader = queue.read(never);

    assert.equal((await reader.next()).value?.event?.$case, 'delta');
    await assert.rejects(reader.next(), /gone/);
  });

  it('wakes a waiting reader', async () => {
    const queue = new ResponseQueue();
    const next = queue.read(never).next();

    queue.push(delta({ tokenIds: [1] }));

    assert.equal((await next).value?.event?.$case, 'delta');
  });

  it('sends an event at once, and melts those that come before the connection has taken it', async () => {
    const queue = new ResponseQueue();
    const connection = new Connection();
    const done = queue.sendAll(connection.send, never);

    queue.push(delta({ tokenIds: [1] }));
    queue.push(delta({ tokenIds: [2] }));
    queue.push(delta({ tokenIds: [3] }));
    queue.end();
    assert.deepEqual(connection.sent, ['delta 1']);
    connection.take();
    assert.deepEqual(connection.sent, ['delta 1', 'delta 2 3']);
    connection.take();

    await done;
    assert.equal(connection.sent.length, 2);
  });

  it('sends what is held before the error', async () => {
    const queue = new ResponseQueue();
    const connection = new Connection();
    queue.push(delta({ tokenIds: [1] }));
    queue.fail(new MeshError('ENGINE_FAILED', 'gone'));
    const done = queue.sendAll(connection.send, never);

    connection.take();

    await assert.rejects(done, /gone/);
    assert.deepEqual(connection.sent, ['delta 1']);
  });

  it('sends nothing more when its call is aborted, whether or not a message is under way', async () => {
    for (const isUnderWay of [true, false]) {
      const controller = new AbortController();
      const queue = new ResponseQueue();
      const connection = new Connection();
      const done = queue.sendAll(connection.send, controller.signal);
      queue.push(delta({ tokenIds: [1] }));
      if (!isUnderWay) connection.take();

      controller.abort();
      queue.push(delta({ tokenIds: [2] }));
      connection.take();

      await assert.rejects(done, { name: 'AbortError' });
      assert.deepEqual(connection.sent, ['delta 1'], `under way: ${isUnderWay}`);
    }
  });

  it('ends a waiting reader when its call is aborted', async () => {
    const controller = new AbortController();
    const next = new ResponseQueue().read(controller.signal).next();

    controller.abort();

    await assert.rejects(next, { name: 'AbortError' });
  });
});
