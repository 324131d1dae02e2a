import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '#test/bounded.ts';
import { differenceOf } from '#test/chaos/load/answer.ts';
import { type Exchange, exchange } from '#test/chaos/load/exchange.ts';
import { type Expectations, expectAnswers } from '#test/chaos/load/expectations.ts';
import { REQUEST_CASES, type Sending } from '#test/chaos/load/request-case.ts';
import { longest, pausesOf } from '#test/chaos/report/pauses.ts';
import { ownMetric, scraped } from '#test/e2e/counters.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';

/** Tokens that a backbone has given of the requests when it is lost: several answers have begun. */
const NUM_TOKENS_UNDER_WAY = 40;
const LOOK_MS = 20;

/** Longest silence that marks a backbone as stopped, as `progress-timeout-s` says by default, ms. */
const STALL_MS = 3000;

/** What an answer's longest pause may have on a busy machine besides, ms. */
const SLACK_MS = 5000;

describe('a mesh of two backbones that loses one', () => {
  let mesh: Mesh;
  let expected: Expectations;
  let numSent = 0;
  const nextSending = (): Sending => {
    numSent += 1;
    return { requestId: `failover-${numSent}`, cacheSalt: `salt ${numSent}` };
  };

  before(async () => {
    mesh = await startMesh({ numBackbones: 2, keys: ['liveness-timeout-s: 6'] });
    const { signal } = new AbortController();
    const onExchange = () => {};
    const settings = { url: mesh.url, cases: REQUEST_CASES, nextSending, onExchange, signal };
    expected = await expectAnswers(settings);
  });
  after(() => mesh.stop());

  const numGenerated = (address: string) =>
    ownMetric(address, { name: 'generation_tokens', suffix: '_total' });

  async function untilGenerated(address: string, numTokens: number): Promise<void> {
    while ((await numGenerated(address)) < numTokens) await delay(LOOK_MS);
  }

  /** Resolves when the gateway sends requests to both backbones. */
  async function untilBothReady(): Promise<void> {
    while ((await scraped(mesh.url, 'autoglm:gateway_backbone_ready')) < 2) await delay(LOOK_MS);
  }

  /**
   * Sends every distinct request at once, signals one backbone when it has begun several answers,
   * and checks all answers.
   */
  async function answersThrough(signal: NodeJS.Signals, index: number): Promise<Exchange[]> {
    await within(untilBothReady(), { what: 'both backbones' });
    const { pid, address } = (await mesh.instances('llm-backbone'))[index] ?? {};
    assert(pid !== undefined && address !== undefined);
    const numBefore = await numGenerated(address);
    const cases = [...REQUEST_CASES, ...REQUEST_CASES];
    const running = cases.map((one) => exchange(mesh.url, one, nextSending()));
    const underWay = untilGenerated(address, numBefore + NUM_TOKENS_UNDER_WAY);
    await within(underWay, { what: `answers of ${address}` });
    process.kill(pid, signal);
    const done = await Promise.all(running);
    for (const { caseName, failure, answer } of done) {
      assert.equal(failure?.why, undefined, caseName);
      const want = expected.get(caseName);
      assert(want !== undefined);
      assert.equal(differenceOf(answer, want), undefined, caseName);
    }
    return done;
  }

  const numResumes = () => scraped(mesh.url, 'autoglm:gateway_resumes_total');
  const worstMs = (done: readonly Exchange[]) =>
    Math.max(...done.map(({ tokenTimesMs }) => longest(pausesOf(tokenTimesMs))));

  it('gives every answer as without the loss when one is killed', async () => {
    const before = await numResumes();

    const done = await answersThrough('SIGKILL', 0);

    assert((await numResumes()) > before, 'an answer went on at the other backbone');
    assert(worstMs(done) < SLACK_MS, `${worstMs(done)} ms`);
  });

  it('does so when one stops without a word', async () => {
    const before = await numResumes();

    const done = await answersThrough('SIGSTOP', 1);

    assert((await numResumes()) > before, 'an answer went on at the other backbone');
    assert(worstMs(done) < STALL_MS + SLACK_MS, `${worstMs(done)} ms`);
  });
});
