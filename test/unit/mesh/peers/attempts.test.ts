import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ERRORS, type ErrorReason, isErrorReason, MeshError } from '#mesh/errors.ts';
import { Attempts, mayRetryElsewhere } from '#mesh/peers/attempts.ts';

/** A peer that records when a call begins and ends. */
class FakePeer {
  readonly address: string;
  readonly trace: string[];
  isReady = true;

  constructor(address: string, trace: string[] = []) {
    this.address = address;
    this.trace = trace;
  }

  begin(): () => void {
    this.trace.push(`+${this.address}`);
    return () => this.trace.push(`-${this.address}`);
  }
}

type Answer = ErrorReason | 'ok' | 'crash';

interface Run {
  readonly answers: Readonly<Record<string, Answer>>;
  readonly maxAttempts?: number;
  readonly away?: readonly string[];
  readonly hasOutput?: boolean;
  /** Error with which the request is aborted. */
  readonly abortedBy?: Error;
}

/** Asks the peers a, b, c … in order; returns the asked peers, the outcome and the retries. */
function run({ answers, away = [], hasOutput = false, abortedBy, ...options }: Run) {
  const trace: string[] = [];
  const peers = Object.keys(answers).map((address) => new FakePeer(address, trace));
  for (const peer of peers) peer.isReady = !away.includes(peer.address);
  const abort = new AbortController();
  const retried: string[] = [];
  const attempts = new Attempts({ peers }, (candidates) => candidates[0], {
    signal: abort.signal,
    who: 'the peer',
    onRetry: (reason) => retried.push(reason),
    ...options,
  });
  const ask = (): string => {
    for (const attempt of attempts) {
      const answer = answers[attempt.peer.address] ?? 'ok';
      if (answer === 'ok') return attempt.peer.address;
      const error = answer === 'crash' ? new TypeError('crash') : new MeshError(answer, 'told');
      if (abortedBy !== undefined) abort.abort(abortedBy);
      attempt.fail(error, { hasOutput });
    }
    return `none left after ${attempts.failure?.reason}`;
  };
  const outcome = (() => {
    try {
      return ask();
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
    name: 'goes nowhere else after output',
    answers: { a: 'DRAINING', b: 'ok' },
    hasOutput: true,
    outcome: 'DRAINING: told',
    trace: '+a -a',
  },
  {
    name: 'takes a call that was cancelled by nobody here for a lost peer',
    answers: { a: 'CANCELLED', b: 'ok' },
    outcome: 'b',
    trace: '+a -a +b -b',
    retried: ['NO_READY_ENDPOINT'],
  },
  {
    name: 'says that a peer was lost after output',
    answers: { a: 'CANCELLED' },
    hasOutput: true,
    outcome: 'NO_READY_ENDPOINT: the peer ended the call',
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

describe('Attempts', () => {
  for (const { name, outcome, trace, retried = [], ...one } of CASES) {
    it(name, () => {
      assert.deepEqual(run(one), { outcome, trace, retried });
    });
  }

  it('ends the call of a loop that is left half-way', () => {
    const peer = new FakePeer('a');
    const { signal } = new AbortController();
    const attempts = new Attempts({ peers: [peer] }, ([one]) => one, { signal, who: 'it' });

    for (const _ of attempts) break;

    assert.deepEqual(peer.trace, ['+a', '-a']);
  });

  it('sees a peer that comes while another is asked, but not one it has asked by address', () => {
    const peers = [new FakePeer('a')];
    const { signal } = new AbortController();
    const attempts = new Attempts({ peers }, ([one]) => one, { signal, who: 'it' });
    const asked: string[] = [];

    for (const attempt of attempts) {
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
