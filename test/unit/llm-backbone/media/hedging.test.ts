import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GatheredEmbedding } from '#backbone/media/gather-embedding.ts';
import { type EncodeCall, Hedging } from '#backbone/media/hedging.ts';
import { type RowLease, RowPool } from '#mesh/encode/row-pool.ts';
import { type ErrorReason, MeshError } from '#mesh/errors.ts';
import { type AskedPeer, type AttemptEnd, Turn } from '#mesh/peers/turn.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { refusal } from '#test/refusal.ts';
import { settled } from '#test/unit/encoder/doubles.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';

/** A call of one encoder, which a test answers. */
class FakeCall implements EncodeCall {
  readonly turn: Turn<AskedPeer>;
  readonly rows: Promise<GatheredEmbedding>;
  /** How the turn ended. */
  end: AttemptEnd | undefined;
  answer: (cacheHit?: boolean) => void = () => {};
  answerOnDevice: (lease: RowLease) => void = () => {};
  fail: (reason: ErrorReason) => void = () => {};

  constructor(address: string) {
    const peer: AskedPeer = { address, life: 0, isReady: true, begin: () => () => {} };
    const { signal } = new AbortController();
    const observer = {
      progressed: () => {},
      ended: (_: unknown, end: AttemptEnd) => {
        this.end = end;
      },
    };
    this.turn = new Turn(peer, { signal, who: address, observer });
    this.rows = new Promise((resolve, reject) => {
      this.answer = (cacheHit = false) => resolve(rowsOf(address, cacheHit));
      this.answerOnDevice = (lease) =>
        resolve({ ...rowsOf(address, false), embedding: { numRows: 1, dtype: 'float32', lease } });
      this.fail = (reason) => reject(new MeshError(reason, `${address} fails`));
      this.turn.signal.addEventListener('abort', () => reject(this.turn.signal.reason));
    });
  }
}

function rowsOf(address: string, cacheHit: boolean): GatheredEmbedding {
  return {
    cacheHit,
    transport: 'message',
    done: undefined,
    embedding: { numRows: 1, dtype: 'float32', rows: Buffer.from(address) },
  };
}

/** Hedging that knows encodes of 10 ms, and has a budget for one hedge. */
async function experienced({ durationMs = 10 } = {}) {
  const clock = new FakeClock();
  const results: string[] = [];
  const hedging = new Hedging({ clock, onEnd: (result) => results.push(result) });
  for (const _ of ids(0, 20)) {
    hedging.itemCame();
    const first = new FakeCall('a');
    const rows = hedging.rowsOf({ first, second: () => assert.fail('it is too early') });
    clock.advance(durationMs);
    first.answer();
    await rows;
  }
  return { clock, results, hedging };
}

/** Begins an item of encoder a, whose second encoder is b, and lets `ms` pass. */
async function begin({ hedging, clock }: Awaited<ReturnType<typeof experienced>>, ms: number) {
  const first = new FakeCall('a');
  const hedges: FakeCall[] = [];
  const second = () => {
    const hedge = new FakeCall('b');
    hedges.push(hedge);
    return hedge;
  };
  hedging.itemCame();
  const gathered = hedging.rowsOf({ first, second });
  const by = gathered.then(({ embedding }) =>
    'rows' in embedding ? String(embedding.rows) : `place ${embedding.lease.offset}`,
  );
  by.catch(() => {});
  await settled();
  clock.advance(ms);
  await settled();
  return { first, hedges, by };
}

describe('Hedging', () => {
  it('asks a second encoder after the P95 of the last encodes, and not before', async () => {
    const rig = await experienced();

    const early = await begin(rig, 9);
    early.first.answer();
    assert.equal(await early.by, 'a');
    const late = await begin(rig, 10);

    assert.equal(early.hedges.length, 0);
    assert.equal(late.hedges.length, 1);
  });

  it('takes the answer of the second and cancels the first, whom nobody blames', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);

    hedges[0]?.answer();

    assert.equal(await by, 'b');
    await settled();
    first.turn.end();
    assert(first.turn.isCancelled);
    assert.equal(first.end?.failure, undefined);
    assert.equal(hedges[0]?.turn.isCancelled, false);
    assert.deepEqual(rig.results, ['won']);
  });

  it('takes the answer of the first and cancels the second', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);

    first.answer();

    assert.equal(await by, 'a');
    assert(hedges[0]?.turn.isCancelled);
    assert.equal(first.turn.isCancelled, false);
    assert.deepEqual(rig.results, ['lost']);
  });

  it('frees the rows of an answer that came as well and is not taken', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);
    const pool = new RowPool({ numBytes: 512, reclaim: () => false });
    const [taken, unused] = [pool.take(256), pool.take(256)];
    assert.ok(taken !== undefined && unused !== undefined);

    first.answerOnDevice(taken);
    hedges[0]?.answerOnDevice(unused);

    assert.equal(await by, 'place 0');
    await settled();
    assert.equal(pool.takenBytes, 256);
    assert.throws(() => unused.release(), /the place is free/);
  });

  it('waits for the first when the second fails', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);

    hedges[0]?.fail('ENGINE_FAILED');
    await settled();
    first.answer();

    assert.equal(await by, 'a');
  });

  it('waits for the second when the first fails, and says so', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);

    first.fail('ENGINE_FAILED');
    await settled();
    hedges[0]?.answer();

    assert.equal(await by, 'b');
    first.turn.end();
    assert.equal(first.end?.failure?.reason, 'ENGINE_FAILED');
  });

  it('fails as the first when both fail', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);

    hedges[0]?.fail('QUEUE_FULL');
    first.fail('ENGINE_FAILED');

    await assert.rejects(by, refusal('ENGINE_FAILED', /a fails/));
    assert.deepEqual(rig.results, ['failed']);
  });

  it('fails at once where the first refuses the item, and cancels the second', async () => {
    const rig = await experienced();
    const { first, hedges, by } = await begin(rig, 10);

    first.fail('UNSUPPORTED_MEDIA');

    await assert.rejects(by, refusal('UNSUPPORTED_MEDIA', /a fails/));
    assert(hedges[0]?.turn.isCancelled);
  });

  it('asks a second encoder for at most one item in twenty', async () => {
    const rig = await experienced();
    let numHedges = 0;

    for (const _ of ids(0, 200)) {
      const { first, hedges, by } = await begin(rig, 10);
      numHedges += hedges.length;
      first.answer();
      await by;
    }

    assert.equal(numHedges, 11, 'of 220 items');
  });

  it('saves a hedge that no encoder could take', async () => {
    const rig = await experienced();
    const first = new FakeCall('a');
    const alone = rig.hedging.rowsOf({ first, second: () => undefined });
    rig.clock.advance(10);
    await settled();
    first.answer();
    await alone;

    const { hedges } = await begin(rig, 10);

    assert.equal(hedges.length, 1);
  });

  it('counts what it gave up as at least as slow as that', async () => {
    const rig = await experienced();
    for (const _ of ids(0, 40)) {
      const { first, hedges, by } = await begin(rig, 500);
      (hedges[0] ?? first).answer();
      await by;
    }

    const { hedges } = await begin(rig, 499);

    assert.equal(hedges.length, 0);
  });

  it('takes no account of rows that an encoder had in its cache', async () => {
    const rig = await experienced({ durationMs: 100 });
    for (const _ of ids(0, 256)) {
      const { first, by } = await begin(rig, 1);
      first.answer(true);
      await by;
    }

    const { hedges } = await begin(rig, 99);

    assert.equal(hedges.length, 0);
  });
});
