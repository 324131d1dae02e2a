import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestHistory } from '#gateway/requests/request-history.ts';
import { RequestRecord } from '#gateway/requests/request-record.ts';
import { viewOf } from '#gateway/requests/view-of.ts';

function recordOf(id: string, startMs = 0): RequestRecord {
  return new RequestRecord({
    id,
    method: 'POST',
    route: '/v1/chat/completions',
    startMs,
    trace: undefined,
    parentSpanId: undefined,
  });
}

function ended(history: RequestHistory, id: string, startMs = 0): RequestRecord {
  const record = recordOf(id, startMs);
  history.begin(record);
  record.endMs = startMs + 1;
  history.end(record);
  return record;
}

describe('RequestHistory', () => {
  it('shows those that run and the last that have ended, newest first', () => {
    const history = new RequestHistory({ maxEnded: 2, maxBytes: 1e6 });
    for (const [at, id] of ['a', 'b', 'c'].entries()) ended(history, id, at);
    history.begin(recordOf('running', 10));

    const ids = history.find({ limit: 10 }).map(({ id }) => id);

    assert.deepEqual(ids, ['running', 'c', 'b']);
  });

  it('finds those of one id, and no more than asked for', () => {
    const history = new RequestHistory({ maxEnded: 10, maxBytes: 1e6 });
    for (const [at, id] of ['a', 'b', 'a', 'c'].entries()) ended(history, id, at);

    assert.deepEqual(
      history.find({ limit: 10, id: 'a' }).map(({ begun }) => begun.startMs),
      [2, 0],
    );
    assert.deepEqual(
      history.find({ limit: 1 }).map(({ id }) => id),
      ['c'],
    );
  });

  it('keeps its bytes, whatever it is asked', () => {
    const maxBytes = 20_000;
    const history = new RequestHistory({ maxEnded: 100_000, maxBytes });
    for (let i = 0; i < 10_000; i++) {
      const record = recordOf(`model-${i}`);
      history.begin(record);
      for (let stage = 0; stage < i % 20; stage++) record.begin({ name: 'generate' });
      history.end(record);
      assert(history.numBytes <= maxBytes, `${history.numBytes} bytes after ${i}`);
    }
    assert(history.numEnded < 20);
  });

  it('forgets all when it may keep none, and ends a request once', () => {
    const history = new RequestHistory({ maxEnded: 0, maxBytes: 1e6 });
    history.end(ended(history, 'a'));

    assert.deepEqual([history.numEnded, history.numBytes], [0, 0]);
  });
});

describe('viewOf', () => {
  it('puts each stage before its parts, in the order of their beginnings', () => {
    const record = recordOf('a', 100);
    const generate = record.stages.begin({ name: 'generate', address: 'x:1' }, 120);
    const encode = record.stages.begin({ name: 'encode', parent: generate, address: 'y:1' }, 140);
    record.stages.note({ name: 'tower', parent: encode }, 141, 145);
    record.stages.note({ name: 'queue', parent: generate }, 121, 139);
    record.stages.note({ name: 'receive' }, 100, 110);
    record.endMs = 200;

    const view = viewOf(record);

    assert.deepEqual(
      view.stages.map(({ name, parent, start_ms, duration_ms }) => [
        name,
        parent,
        start_ms,
        duration_ms,
      ]),
      [
        ['receive', null, 0, 10],
        ['generate', null, 20, 80],
        ['queue', 1, 21, 18],
        ['encode', 1, 40, 60],
        ['tower', 3, 41, 4],
      ],
    );
    assert.equal(view.duration_ms, 100);
  });

  it('leaves open what is not known of a request that runs', () => {
    const record = recordOf('a');
    record.stages.begin({ name: 'generate' }, 5);

    const { status, duration_ms, ttft_ms, input_tokens, stages } = viewOf(record);

    assert.deepEqual([status, duration_ms, ttft_ms, input_tokens], [null, null, null, null]);
    assert.equal(stages[0]?.duration_ms, null);
  });
});
