import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FaultRecord } from '#test/chaos/faults/fault-record.ts';
import { type JudgedExchange, judge, type Verdict } from '#test/chaos/load/verdict.ts';
import type { Sighting } from '#test/chaos/mesh/sightings.ts';
import type { Story } from '#test/chaos/report/effects.ts';
import { percentile } from '#test/chaos/report/pauses.ts';
import { hasPassed, type Report, reportOn } from '#test/chaos/report/report.ts';
import { reportText } from '#test/chaos/report/report-text.ts';

const GATEWAY = '127.0.0.1:8000';
const ANSWERED: Verdict = { kind: 'answered' };

const KILL: FaultRecord = {
  kind: 'backbone-kill',
  role: 'llm-backbone',
  target: 'llm-backbone-1',
  address: '127.0.0.1:8051',
  beganMs: 1000,
  endedMs: 3000,
};

const REGISTRY_STOP: FaultRecord = {
  ...KILL,
  kind: 'registry-stop',
  role: 'registry',
  target: 'registry',
};

/** Makes a request of which `seen` tells the places and times. */
function story(
  exchange: Partial<JudgedExchange>,
  seen: Readonly<Record<string, number>> = {},
): Story {
  const sightings: Sighting[] = Object.entries(seen).map(([instance, atMs]) => ({
    instance,
    atMs,
  }));
  return {
    exchange: {
      requestId: 'chaos-0000001',
      caseName: 'greedy text',
      sentMs: 900,
      endMs: 2000,
      tokenTimesMs: [],
      gateway: GATEWAY,
      answer: { choices: [], usage: undefined },
      failure: undefined,
      verdict: ANSWERED,
      ...exchange,
    },
    sightings,
  };
}

function reportOf(stories: readonly Story[], faults: readonly FaultRecord[] = [KILL]): Report {
  const counts = { retried: 0, resumed: 0 };
  return reportOn({ seed: 1, stories, faults, numSkipped: 0, counts });
}

describe('reportOn', () => {
  it('counts a stream that went on elsewhere after a token as resumed, with its gap', () => {
    const stream = story(
      { tokenTimesMs: [950, 990, 1190, 1200] },
      { 'llm-backbone-1': 910, 'llm-backbone-2': 1100 },
    );

    const { rows, failovers } = reportOf([stream]);

    assert.equal(rows[0]?.numTouched, 1);
    assert.equal(rows[0]?.numResumed, 1);
    assert.equal(rows[0]?.numRetried, 0);
    assert.equal(rows[0]?.worstGapMs, 200);
    assert.deepEqual(failovers.get('backbone-kill'), [{ gapMs: 200, noticedMs: 100 }]);
  });

  it('does not take a token that was under way for the first after the failover', () => {
    const stream = story(
      { tokenTimesMs: [950, 1101, 1401] },
      { 'llm-backbone-1': 910, 'llm-backbone-2': 1100 },
    );

    assert.equal(reportOf([stream]).failovers.get('backbone-kill')?.[0]?.gapMs, 300);
  });

  it('counts a request that went elsewhere before a token as retried', () => {
    const request = story(
      { tokenTimesMs: [1500, 1510] },
      { 'llm-backbone-1': 910, 'llm-backbone-2': 1100 },
    );

    const { rows, failovers } = reportOf([request]);

    assert.equal(rows[0]?.numRetried, 1);
    assert.equal(rows[0]?.numResumed, 0);
    assert.deepEqual(failovers.get('backbone-kill'), []);
  });

  it('counts requests as touched that a dying target got', () => {
    const request = story({ sentMs: 1400 }, { 'llm-backbone-1': 1450, 'llm-backbone-3': 1500 });

    assert.equal(reportOf([request]).rows[0]?.numTouched, 1);
    assert.equal(reportOf([request]).rows[0]?.numRetried, 1);
  });

  it('does not count requests of others, and those that were over or came later', () => {
    const stories = [
      story({}, { 'llm-backbone-2': 910 }),
      story({ endMs: 990 }, { 'llm-backbone-1': 910 }),
      story({ sentMs: 3100, endMs: 4000 }, { 'llm-backbone-1': 3150 }),
      story({}, { 'llm-backbone-1': 910, 'llm-backbone-2': 950 }),
    ];

    assert.equal(reportOf(stories).rows[0]?.numTouched, 0);
  });

  it('takes an encoder to be done with a request at its first token', () => {
    const fault: FaultRecord = {
      ...KILL,
      kind: 'encoder-kill',
      role: 'vision-encoder',
      target: 'vision-encoder-1',
    };
    const seen = { 'llm-backbone-1': 910, 'vision-encoder-1': 920 };
    const stories = [
      story({ tokenTimesMs: [950, 1100] }, seen),
      story({ tokenTimesMs: [1300] }, { ...seen, 'vision-encoder-2': 1050 }),
    ];

    const [row] = reportOf(stories, [fault]).rows;

    assert.equal(row?.numTouched, 1);
    assert.equal(row?.numRetried, 1);
  });

  it('puts a failure down to the last fault that touched it, or that had begun', () => {
    const later: FaultRecord = {
      ...KILL,
      kind: 'backbone-drain',
      target: 'llm-backbone-3',
      beganMs: 1500,
    };
    const verdict: Verdict = { kind: 'failed', why: 'status 502' };
    const stories = [
      story({ verdict }, { 'llm-backbone-1': 910 }),
      story({ verdict }, { 'llm-backbone-2': 910 }),
      story({ verdict, sentMs: 100, endMs: 900 }),
    ];

    const { spoilt } = reportOf(stories, [KILL, later]);

    assert.deepEqual(
      spoilt.map(({ kind }) => kind),
      ['backbone-kill', 'backbone-drain', 'none'],
    );
  });

  it('counts all requests as touched that run while something is done to the registry', () => {
    const stories = [
      story({ sentMs: 2900, endMs: 3500 }, { 'llm-backbone-2': 2910 }),
      story({ sentMs: 3100, endMs: 3500 }, { 'llm-backbone-2': 3110 }),
      story({ sentMs: 100, endMs: 900 }, { 'llm-backbone-2': 110 }),
    ];

    const [row] = reportOf(stories, [REGISTRY_STOP]).rows;

    assert.equal(row?.numTouched, 1);
    assert.equal(row?.numResumed, 0);
  });

  it('puts a failure down to the registry only if nothing else touched the request', () => {
    const verdict: Verdict = { kind: 'failed', why: 'status 503' };
    const later = { ...REGISTRY_STOP, beganMs: 1100 };
    const stories = [
      story({ verdict }, { 'llm-backbone-1': 910 }),
      story({ verdict }, { 'llm-backbone-2': 910 }),
    ];

    const { spoilt } = reportOf(stories, [KILL, later]);

    assert.deepEqual(
      spoilt.map(({ kind }) => kind),
      ['backbone-kill', 'registry-stop'],
    );
  });

  it('counts streams that were cut with their gateway apart from failures', () => {
    const fault: FaultRecord = {
      ...KILL,
      kind: 'gateway-kill',
      role: 'gateway',
      target: 'gateway-1',
      address: GATEWAY,
    };
    const cut = story({ verdict: { kind: 'cut', why: 'the stream broke' } });

    const report = reportOf([cut, story({ sentMs: 2000 })], [fault]);

    assert.equal(report.rows[0]?.numCut, 1);
    assert.equal(report.numCut, 1);
    assert.equal(report.numAnswered, 1);
    assert.deepEqual(report.spoilt, []);
    assert.match(reportText(report), /answered 1 of 2 requests sent: availability 50\.000 %/);
  });

  it('keeps the gaps of streams that nothing touched apart', () => {
    const seen = { 'llm-backbone-2': 910 };
    const untouched = story({ tokenTimesMs: [950, 1000, 1070] }, seen);
    const touched = story({ tokenTimesMs: [950, 1200] }, { 'llm-backbone-1': 910 });

    assert.deepEqual(reportOf([untouched, touched]).untouchedGapsMs, [70]);
  });

  it('has passed only if faults were done, and answers came that were all right', () => {
    const good = story({});
    const wrong = story({ verdict: { kind: 'wrong', why: 'choice 0 is missing' } });

    assert.equal(hasPassed(reportOf([good])), true);
    assert.equal(hasPassed(reportOf([good, wrong])), false);
    assert.equal(hasPassed(reportOf([good], [])), false);
    assert.equal(hasPassed(reportOf([])), false);
  });
});

describe('judge', () => {
  const { exchange } = story({ sentMs: 900, endMs: 1100 });
  const expected = new Map([['greedy text', exchange.answer]]);
  const kills = [{ address: GATEWAY, atMs: 1000 }];
  const broken = { isBroken: true, why: 'the stream broke' };

  it('calls a broken stream cut only if its gateway was killed meanwhile', () => {
    const kindOf = (change: Partial<JudgedExchange>) =>
      judge({ ...exchange, failure: broken, ...change }, expected, kills).verdict.kind;

    assert.equal(kindOf({}), 'cut');
    assert.equal(kindOf({ gateway: '127.0.0.1:8010' }), 'failed');
    assert.equal(kindOf({ endMs: 950 }), 'failed');
    assert.equal(kindOf({ sentMs: 1050 }), 'failed');
    assert.equal(kindOf({ failure: { isBroken: false, why: 'an error event' } }), 'failed');
  });

  it('calls an answer wrong that differs from the expected one', () => {
    const other = { choices: [], usage: { numPrompt: 1, numCompletion: 1, numReasoning: 0 } };

    assert.equal(judge(exchange, expected, kills).verdict.kind, 'answered');
    assert.equal(judge({ ...exchange, answer: other }, expected, kills).verdict.kind, 'wrong');
  });
});

describe('percentile', () => {
  it('is the smallest value that the share does not exceed', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);

    assert.equal(percentile(values, 0.5), 50);
    assert.equal(percentile(values, 0.99), 99);
    assert.equal(percentile([7], 0.99), 7);
  });
});
