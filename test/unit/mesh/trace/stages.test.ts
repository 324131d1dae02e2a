import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeStages } from '#mesh/encode/encode-stages.ts';
import { spansOf } from '#mesh/trace/span.ts';
import { endStage, Stages } from '#mesh/trace/stages.ts';
import { EncodeDone } from '#protos/autoglm/encoder/v1/encoder.ts';

const TRACE = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: '00000000000000aa',
  isSampled: true,
  state: '',
};

function callOf(error?: string) {
  const times = { parentSpanId: undefined, endMs: 100 };
  return { name: 'Generate', trace: TRACE, error, attributes: {}, ...times };
}

describe('Stages', () => {
  it('reach the caller with their parents, repetitions and times', () => {
    const called = new Stages('llm-backbone', 1000);
    const first = called.begin({ name: 'encode', address: 'a:1' }, 1010);
    first.endMs = 1020;
    first.error = 'QUEUE_FULL';
    const again = called.begin(
      { name: 'encode', address: 'b:2', cause: 'retry', follows: first },
      1020,
    );
    called.addTold(
      encodeStages(
        EncodeDone.fromPartial({ uploadUs: 1000n, encodeUs: 5000n }),
        'vision-encoder',
        9,
      ),
      again,
    );
    const caller = new Stages('gateway', 0);
    const generate = caller.begin({ name: 'generate', address: 'x:1' }, 50);

    caller.addTold(called.messages(1030), generate);

    const told = caller.list.slice(1).map((stage) => ({
      name: stage.name,
      process: stage.process,
      parent: stage.parent && caller.list.indexOf(stage.parent),
      startMs: stage.startMs,
      endMs: stage.endMs,
      error: stage.error,
      cause: stage.cause,
      follows: stage.follows && caller.list.indexOf(stage.follows),
    }));
    const fine = { error: undefined, cause: undefined, follows: undefined };
    assert.deepEqual(told, [
      {
        ...fine,
        name: 'encode',
        process: 'llm-backbone',
        parent: 0,
        startMs: 60,
        endMs: 70,
        error: 'QUEUE_FULL',
      },
      {
        ...fine,
        name: 'encode',
        process: 'llm-backbone',
        parent: 0,
        startMs: 70,
        endMs: 80,
        cause: 'retry',
        follows: 1,
      },
      { ...fine, name: 'upload', process: 'vision-encoder', parent: 2, startMs: 70, endMs: 71 },
      { ...fine, name: 'tower', process: 'vision-encoder', parent: 2, startMs: 71, endMs: 76 },
    ]);
  });

  it('are bounded, also those that another process tells', () => {
    const stages = new Stages('gateway', 0);
    const parent = stages.begin({ name: 'generate' });
    const many = Array.from({ length: 1000 }, () =>
      encodeStages(EncodeDone.fromPartial({ encodeUs: 1n }), 'vision-encoder', 1),
    );

    stages.addTold(many.flat(), parent);
    for (let i = 0; i < 1000; i++) stages.begin({ name: 'generate' });

    assert.equal(stages.list.length, 256);
  });

  it('take nothing of processes that nobody knows', () => {
    const stages = new Stages('gateway', 0);
    stages.addTold(
      encodeStages(EncodeDone.fromPartial({ encodeUs: 5n }), 'impostor', 1),
      stages.begin({ name: 'generate' }),
    );

    assert.deepEqual(
      stages.list.map(({ name }) => name),
      ['generate'],
    );
  });
});

describe('encodeStages', () => {
  it('lie within the call, whose item may have been encoded for another', () => {
    const done = EncodeDone.fromPartial({ queueUs: 3000n, decodeUs: 4000n, encodeUs: 9000n });

    const stages = encodeStages(done, 'vision-encoder', 5);

    assert.deepEqual(
      stages.map(({ name, startUs, durationUs }) => [name, startUs, durationUs]),
      [
        ['queue', 0n, 3000n],
        ['decode', 3000n, 2000n],
      ],
    );
  });
});

describe('spansOf', () => {
  it('links a repetition to what it repeats, and ends what still runs with the call', () => {
    const stages = new Stages('gateway', 0);
    const first = stages.begin({ name: 'generate', address: '10.0.0.1:8051' }, 10);
    endStage(first, 'NO_READY_ENDPOINT');
    stages.begin({ name: 'generate', address: '[::1]:8052', cause: 'resume', follows: first }, 20);

    const [root, lost, resumed] = spansOf(callOf(), stages, { withTold: false });

    assert.equal(root?.spanId, TRACE.spanId);
    assert.equal(lost?.error, 'NO_READY_ENDPOINT');
    assert.equal(lost?.parentSpanId, TRACE.spanId);
    assert.equal(resumed?.linkedSpanId, lost?.spanId);
    assert.equal(resumed?.endMs, performance.timeOrigin + 100);
    assert.deepEqual(resumed?.attributes, {
      'server.address': '[::1]',
      'server.port': 8052,
      'autoglm.cause': 'resume',
    });
  });

  it('leaves out what others have told, unless nobody else records it', () => {
    const stages = new Stages('gateway', 0);
    const parent = stages.begin({ name: 'generate', address: 'x:1' }, 10);
    stages.addTold(
      encodeStages(EncodeDone.fromPartial({ encodeUs: 5n }), 'vision-encoder', 1),
      parent,
    );

    const namesOf = (withTold: boolean) =>
      spansOf(callOf(), stages, { withTold }).map(({ name }) => name);

    assert.deepEqual(namesOf(false), ['Generate', 'generate']);
    assert.deepEqual(namesOf(true), ['Generate', 'generate', 'tower']);
  });
});
