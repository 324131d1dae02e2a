import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Changes } from '#mesh/async/changes.ts';
import { RetryBudget } from '#mesh/balance/retry-budget.ts';
import { ERRORS, type ErrorReason, isErrorReason, MeshError } from '#mesh/errors.ts';
import { type AttemptOptions, Attempts, mayRetryElsewhere } from '#mesh/peers/attempts.ts';
import { Patience } from '#mesh/peers/patience.ts';
import { type AttemptEnd, Turn } from '#mesh/peers/turn.ts';
import { within } from '#test/bounded.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** A peer that records when a call begins and ends. */
class FakePeer {
  readonly address: string;
  readonly trace: string[];
  isReady = true;
  isOverdue = false;
  life = 0;
  onLost: (why: MeshError) => void = () => {};

  constructor(address: string, trace: string[] = []) {
    this.address = address;
    this.trace = trace;
  }

  begin(onLost: (why: MeshError) => void): () => void {
    this.onLost = onLost;
    this.trace.push(`+${this.address}`);
    return () => this.trace.push(`-${this.address}`);
  }
}

/** Options of an attempt that waits for nobody. */
function impatient(signal: AbortSignal): AttemptOptions {
  const patience = new Patience({ limitMs: 0, maxWaiting: 0 });
  return { signal, who: 'it', patience, expectedMs: () => undefined };
}

function spentBudget(): RetryBudget {
  const budget = new RetryBudget();
  while (budget.withdraw());
  return budget;
}

type Answer = ErrorReason | 'ok' | 'crash';

interface Run {
  readonly answers: Readonly<Record<string, Answer>>;
  readonly maxAttempts?: number;
  readonly away?: readonly string[];
  readonly maxLosses?: number;
  readonly overdue?: readonly string[];
  readonly budget?: RetryBudget;
  /** Whether every peer brings the request further before it fails. */
  readonly progresses?: boolean;
  /** Error with which the request is aborted. */
  readonly abortedBy?: Error;
}

/** Asks the peers a, b, c … in order; returns the asked peers, the outcome and the retries. */
async function run({
  answers,
  away = [],
  overdue = [],
  progresses = false,
  abortedBy,
  ...options
}: Run) {
  const trace: string[] = [];
  const peers = Object.keys(answers).map((address) => new FakePeer(address, trace));
  for (const peer of peers) {
    peer.isReady = !away.includes(peer.address);
    peer.isOverdue = overdue.includes(peer.address);
  }
  const abort = new AbortController();
  const retried: string[] = [];
  const leaving = new Set<string>();
  const attempts = new Attempts({ peers, changes: new Changes() }, ([one]) => one, {
    ...impatient(abort.signal),
    allows: ({ address }) => !leaving.has(address),
    who: 'the peer',
    onRetry: (reason) => retried.push(reason),
    ...options,
  });
  const ask = async (): Promise<string> => {
    for await (const attempt of attempts) {
      const answer = answers[attempt.peer.address] ?? 'ok';
      if (answer === 'ok') return attempt.peer.address;
      const error = answer === 'crash' ? new TypeError('crash') : new MeshError(answer, 'told');
      if (abortedBy !== undefined) abort.abort(abortedBy);
      if (progresses) attempt.progress();
      if (answer === 'DRAINING') leaving.add(attempt.peer.address);
      attempt.fail(error);
    }
    return `none left after ${attempts.failure?.reason}`;
  };
  const outcome = await (async () => {
    try {
      return await ask();
    } catch (error: unknown) {
      return error instanceof MeshError ? `${error.reason}: ${error.message}` : String(error);
    }
  })();
  return { outcome, trace: trace.join(' '), retried };
}

const CASES: readonly (Run & {
  readonly name: string;
  readonly outcome: string;
  readonly trace: string;
  readonly retried?: readonly string[];
})[] = [
  {
    name: 'asks no further once one has answered',
    answers: { a: 'ok', b: 'ok' },
    outcome: 'a',
    trace: '+a -a',
  },
  {
    name: 'goes on after a failure, and says with which',
    answers: { a: 'QUEUE_FULL', b: 'DRAINING', c: 'ok' },
    outcome: 'c',
    trace: '+a -a +b -b +c -c',
    retried: ['QUEUE_FULL', 'DRAINING'],
  },
  {
    name: 'asks nobody who is not ready',
    answers: { a: 'ok', b: 'ok' },
    away: ['a'],
    outcome: 'b',
    trace: '+b -b',
  },
  {
    name: 'asks those whose heartbeat is late after all others',
    answers: { a: 'ok', b: 'QUEUE_FULL', c: 'QUEUE_FULL' },
    overdue: ['a'],
    outcome: 'a',
    trace: '+b -b +c -c +a -a',
    retried: ['QUEUE_FULL', 'QUEUE_FULL'],
  },
  {
    name: 'keeps the last failure when nobody is left, and asks nobody twice',
    answers: { a: 'QUEUE_FULL', b: 'ENGINE_FAILED' },
    outcome: 'none left after ENGINE_FAILED',
    trace: '+a -a +b -b',
    retried: ['QUEUE_FULL'],
  },
  {
    name: 'ends without a failure when nobody is ready',
    answers: { a: 'ok' },
    away: ['a'],
    outcome: 'none left after undefined',
    trace: '',
  },
  {
    name: 'gives up after the allowed number of attempts',
    answers: { a: 'QUEUE_FULL', b: 'DRAINING', c: 'ok' },
    maxAttempts: 2,
    outcome: 'DRAINING: told',
    trace: '+a -a +b -b',
    retried: ['QUEUE_FULL'],
  },
  {
    name: 'goes nowhere else with what others would refuse as well',
    answers: { a: 'INVALID_REQUEST', b: 'ok' },
    outcome: 'INVALID_REQUEST: told',
    trace: '+a -a',
  },
  {
    name: 'asks as many as it takes while each brings the request further',
    answers: { a: 'DRAINING', b: 'DRAINING', c: 'ok' },
    maxAttempts: 2,
    progresses: true,
    outcome: 'c',
    trace: '+a -a +b -b +c -c',
    retried: ['DRAINING', 'DRAINING'],
  },
  {
    name: 'gives up after the allowed number of losses',
    answers: { a: 'CANCELLED', b: 'CANCELLED', c: 'ok' },
    maxLosses: 1,
    progresses: true,
    outcome: 'NO_READY_ENDPOINT: the peer ended the call',
    trace: '+a -a +b -b',
    retried: ['NO_READY_ENDPOINT'],
  },
  {
    name: 'goes nowhere else after the refusal of a living peer when the budget is spent',
    answers: { a: 'QUEUE_FULL', b: 'ok' },
    budget: spentBudget(),
    outcome: 'QUEUE_FULL: told',
    trace: '+a -a',
  },
  {
    name: 'needs no budget after the loss of a peer',
    answers: { a: 'CANCELLED', b: 'DRAINING', c: 'ok' },
    budget: spentBudget(),
    outcome: 'c',
    trace: '+a -a +b -b +c -c',
    retried: ['NO_READY_ENDPOINT', 'DRAINING'],
  },
  {
    name: 'needs no budget after a peer whose engine is dead',
    answers: { a: 'ENGINE_DEAD', b: 'ok' },
    budget: spentBudget(),
    outcome: 'b',
    trace: '+a -a +b -b',
    retried: ['ENGINE_DEAD'],
  },
  {
    name: 'takes a call that was cancelled by nobody here for a lost peer',
    answers: { a: 'CANCELLED', b: 'ok' },
    outcome: 'b',
    trace: '+a -a +b -b',
    retried: ['NO_READY_ENDPOINT'],
  },
  {
    name: 'says that a peer was lost if no other is left',
    answers: { a: 'CANCELLED' },
    progresses: true,
    outcome: 'none left after NO_READY_ENDPOINT',
    trace: '+a -a',
  },
  {
    name: "fails with the signal's reason once that has aborted",
    answers: { a: 'CANCELLED', b: 'ok' },
    abortedBy: new MeshError('DEADLINE_EXCEEDED', 'too late'),
    outcome: 'DEADLINE_EXCEEDED: too late',
    trace: '+a -a',
  },
  {
    name: 'lets an abort pass through as it is',
    answers: { a: 'DRAINING', b: 'ok' },
    abortedBy: new DOMException('left', 'AbortError'),
    outcome: 'AbortError: left',
    trace: '+a -a',
  },
  {
    name: 'lets what nobody foresaw pass through as it is',
    answers: { a: 'crash', b: 'ok' },
    outcome: 'TypeError: crash',
    trace: '+a -a',
  },
];

function setOf(peers: readonly FakePeer[]) {
  return { peers, changes: new Changes() };
}

/**
 * Asks one peer, which is lost at once, and waits for its next run. `isNoticed`: the peer has noticed
 * the loss before its call fails, which had brought the request further.
 */
function waitForNextRun({
  expectedMs = 2000,
  limitMs = 5000,
  maxWaiting = 1,
  isNoticed = false,
} = {}) {
  const clock = new FakeClock();
  const peer = new FakePeer('a');
  const set = setOf([peer]);
  const patience = new Patience({ limitMs, maxWaiting });
  const abort = new AbortController();
  const attempts = new Attempts(set, ([one]) => one, {
    ...impatient(abort.signal),
    patience,
    expectedMs: () => expectedMs,
    clock,
  });
  const lives: number[] = [];
  const ask = async () => {
    for await (const attempt of attempts) {
      lives.push(attempt.peer.life);
      if (attempt.peer.life > 0) return 'answered';
      peer.isReady = false;
      if (isNoticed) {
        attempt.progress();
        peer.life += 1;
      }
      attempt.fail(new MeshError('NO_READY_ENDPOINT', 'lost', { isPeerLost: true }));
    }
    return attempts.failure;
  };
  const comeBack = () => {
    if (!isNoticed) peer.life += 1;
    peer.isReady = true;
    set.changes.notify();
  };
  return { answer: ask(), clock, patience, abort, lives, comeBack };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('A request whose only peer is lost', () => {
  it('goes to the next run of the same process', async () => {
    const { answer, patience, lives, comeBack } = waitForNextRun();
    await turn();
    assert.equal(patience.numWaiting, 1);

    comeBack();

    assert.equal(await answer, 'answered');
    assert.deepEqual(lives, [0, 1]);
    assert.equal(patience.numWaiting, 0);
  });

  it('goes to it too if the loss was noticed before the call that had brought tokens failed', async () => {
    const { answer, lives, comeBack } = waitForNextRun({ isNoticed: true });
    await turn();
    comeBack();
    await turn();

    assert.equal(await within(answer, { what: 'an answer', boundMs: 1000 }), 'answered');
    assert.deepEqual(lives, [0, 1]);
  });

  it('waits no longer than the limit, and says when to come again', async () => {
    const { answer, clock } = waitForNextRun();
    await turn();

    clock.advance(5000);

    const failure = await answer;
    assert(failure instanceof MeshError);
    assert.deepEqual([failure.reason, failure.retryAfterMs], ['NO_READY_ENDPOINT', 2000]);
  });

  for (const [why, settings] of [
    ['is expected after the limit', { expectedMs: 5001 }],
    ['has others that wait for it, as many as may', { maxWaiting: 0 }],
    ['is waited for by nobody', { limitMs: 0 }],
  ] as const) {
    it(`does not wait for one that ${why}`, async () => {
      const { answer, lives } = waitForNextRun(settings);

      assert((await answer) instanceof MeshError);
      assert.deepEqual(lives, [0]);
    });
  }

  it('ends its wait with the request', async () => {
    const { answer, abort, patience } = waitForNextRun();
    const left = assert.rejects(answer, /gone/);
    await turn();

    abort.abort(new Error('gone'));

    await left;
    assert.equal(patience.numWaiting, 0);
  });
});

describe('Attempts', () => {
  it('gives the call of a silent peer up and asks another', async () => {
    const peers = [new FakePeer('a'), new FakePeer('b')];
    const { signal } = new AbortController();
    const attempts = new Attempts(setOf(peers), ([one]) => one, impatient(signal));
    const asked: string[] = [];

    for await (const attempt of attempts) {
      asked.push(attempt.peer.address);
      if (attempt.peer.address === 'b') break;
      attempt.peer.onLost(new MeshError('NO_READY_ENDPOINT', 'silent', { isPeerLost: true }));
      assert.equal(attempt.signal.aborted, true);
      attempt.fail(new DOMException('the call was aborted', 'AbortError'));
    }

    assert.deepEqual(asked, ['a', 'b']);
    assert.equal(attempts.failure?.message, 'silent');
  });

  for (const { name, outcome, trace, retried = [], ...one } of CASES) {
    it(name, async () => {
      assert.deepEqual(await run(one), { outcome, trace, retried });
    });
  }

  it('ends the call of a loop that is left half-way', async () => {
    const peer = new FakePeer('a');
    const { signal } = new AbortController();
    const attempts = new Attempts(setOf([peer]), ([one]) => one, impatient(signal));

    for await (const _ of attempts) break;

    assert.deepEqual(peer.trace, ['+a', '-a']);
  });

  it('sees a peer that comes while another is asked, but not one it has asked by address', async () => {
    const peers = [new FakePeer('a')];
    const { signal } = new AbortController();
    const attempts = new Attempts(setOf(peers), ([one]) => one, impatient(signal));
    const asked: string[] = [];

    for await (const attempt of attempts) {
      asked.push(attempt.peer.address);
      peers.splice(0, peers.length, new FakePeer('a'), new FakePeer('b'));
      attempt.fail(new MeshError('DRAINING', 'leaving'));
    }

    assert.deepEqual(asked, ['a', 'b']);
  });

  it('goes elsewhere exactly where the table of errors says so', () => {
    for (const reason of Object.keys(ERRORS).filter(isErrorReason)) {
      const { retryElsewhere } = ERRORS[reason];
      assert.equal(mayRetryElsewhere(new MeshError(reason, 'told')), retryElsewhere, reason);
    }
  });
});

describe('a second peer beside an attempt', () => {
  it('is one that has not been asked, and is not asked again', async () => {
    const trace: string[] = [];
    const peers = ['a', 'b', 'c'].map((address) => new FakePeer(address, trace));
    const { signal } = new AbortController();
    const pick = ([one]: readonly FakePeer[]) => one;
    const attempts = new Attempts({ peers, changes: new Changes() }, pick, impatient(signal));

    for await (const attempt of attempts) {
      const turn = attempt.beside(pick);
      turn?.end();
      attempt.fail(new MeshError('ENGINE_FAILED', 'told'));
    }

    assert.equal(trace.join(' '), '+a +b -b -a +c -c');
  });

  it('is not to blame when its turn is cancelled', () => {
    const failures: unknown[] = [];
    const observer = {
      progressed: () => {},
      ended: (_: FakePeer, { failure }: AttemptEnd) => failures.push(failure?.reason),
    };
    const { signal } = new AbortController();
    for (const isCancelled of [false, true]) {
      const turn = new Turn(new FakePeer('a'), { signal, who: 'it', observer });
      if (isCancelled) turn.cancel();
      turn.failed(new MeshError('CANCELLED', 'told'));
      turn.end();
    }

    assert.deepEqual(failures, ['NO_READY_ENDPOINT', undefined]);
  });
});

describe('why a peer did not answer', () => {
  const told = new MeshError('CANCELLED', 'told');
  const begin = () => {
    const request = new AbortController();
    const peer = new FakePeer('a');
    return { request, peer, turn: new Turn(peer, { signal: request.signal, who: 'it' }) };
  };
  const reasonOf = (why: unknown) => (why instanceof MeshError ? why.reason : String(why));

  it('is its silence, not the end of the call that was given up', () => {
    const { peer, turn } = begin();
    peer.onLost(new MeshError('NO_READY_ENDPOINT', 'silent', { isPeerLost: true }));

    for (const error of [told, new DOMException('the call was aborted', 'AbortError')]) {
      assert.equal(reasonOf(turn.whyFailed(error)), 'NO_READY_ENDPOINT');
    }
  });

  it('is its own end if nobody else has ended the call', () => {
    assert.equal(reasonOf(begin().turn.whyFailed(told)), 'NO_READY_ENDPOINT');
  });

  it('is the request that was given up', () => {
    const { request, turn } = begin();
    request.abort(new MeshError('DEADLINE_EXCEEDED', 'late'));

    assert.equal(reasonOf(turn.whyFailed(told)), 'DEADLINE_EXCEEDED');
  });

  it('is an error of ours as it is', () => {
    assert.equal(reasonOf(begin().turn.whyFailed(new TypeError('crash'))), 'TypeError: crash');
  });
});
