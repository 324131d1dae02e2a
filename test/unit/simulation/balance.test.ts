import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pickCostUs } from '#test/simulation/pick-cost.ts';
import { type Scenario, scenario } from '#test/simulation/scenario.ts';
import { simulate } from '#test/simulation/simulation.ts';

const SEED = 7;

/** A thousand gateways, whose reports come as seldom as there, and fewer backbones. */
function crowd(name: string, changes: Partial<Scenario> = {}): Scenario {
  return scenario(name, { numBackbones: 40, seconds: 15, ...changes });
}

describe('the balance of a simulated mesh', () => {
  const scenarios = [
    crowd('loads up to a second old'),
    crowd('loads up to 1.1 s old', { reportDelayMs: 100 }),
    crowd('a fifth of the requests with one prefix', { ownPrefixShare: 0.8 }),
    crowd('a prefix that a fifth get at once', {
      numBackbones: 80,
      ownPrefixShare: 0.8,
      sharedFromMs: 7000,
    }),
    crowd('one backbone that fails everything', { isBroken: (index) => index === 0 }),
    crowd('one backbone at half speed', { speedOf: (index) => (index === 0 ? 0.5 : 1) }),
    crowd('weights 1 and 3', { weightOf: (index) => (index % 2 === 0 ? 1 : 3) }),
    crowd('ten that join', { disturbances: [{ atMs: 7000, kind: 'join', numBackbones: 10 }] }),
  ];
  for (const one of scenarios) {
    it(`gives no backbone more than twice its share: ${one.name}`, () => {
      const { mostRequests, mostWork } = simulate(one, SEED);

      assert(mostRequests < 2, `${mostRequests} times the mean of the requests`);
      assert(mostWork < 2, `${mostWork} times the mean of the work`);
    });
  }

  it('gives no backbone more than 1.25 times the mean for a prefix that all requests have', () => {
    const alone = { numGateways: 1, numBackbones: 40, seconds: 15, ownPrefixShare: 0 };

    const { mostWork } = simulate(scenario('one gateway', alone), SEED);

    assert(mostWork < 1.25, `${mostWork}`);
  });

  it('is the same for the same seed, and another for another', () => {
    const short = crowd('short', { seconds: 11 });

    const [first, again, other] = [SEED, SEED, SEED + 1].map((seed) => simulate(short, seed));

    assert.deepEqual(again, first);
    assert.notDeepEqual(other, first);
  });
});

describe('a simulated pool that fails everything', () => {
  it('sees at most 1.2 attempts a request', () => {
    // 32 backbones answer 1,000 requests a second.
    const pool = { numGateways: 2, numBackbones: 32, utilization: 1, seconds: 10 };

    const outcome = simulate(scenario('broken', { ...pool, isBroken: () => true }), SEED);

    // Each gateway has saved ten retries when it starts.
    const saved = 20 / outcome.numRequests;
    assert(outcome.numRequests > 9000, `${outcome.numRequests} requests`);
    assert(outcome.attempts > 1.1, `${outcome.attempts} attempts a request`);
    assert(outcome.attempts <= 1.2 + saved, `${outcome.attempts} attempts a request`);
  });
});

describe('a simulated mesh that loses backbones', () => {
  it('asks those that were killed for less than 0.1 s, and loses no request', () => {
    const kill = { atMs: 7000, kind: 'kill', numBackbones: 4 } as const;

    const outcome = simulate(crowd('killed', { disturbances: [kill] }), SEED);

    assert(outcome.numResumed > 20, `${outcome.numResumed} resumed`);
    assert.equal(outcome.numFailed, 0);
    assert((outcome.convergedMs ?? Infinity) < 100, `${outcome.convergedMs} ms`);
  });

  it('asks those that fell silent for at most a second, and loses no request', () => {
    const lose = { atMs: 7000, kind: 'lose', numBackbones: 4 } as const;

    const outcome = simulate(crowd('silent', { disturbances: [lose] }), SEED);

    assert(outcome.numResumed > 20, `${outcome.numResumed} resumed`);
    assert.equal(outcome.numFailed, 0);
    const { convergedMs = Infinity } = outcome;
    assert(convergedMs > 100 && convergedMs <= 1010, `${convergedMs} ms`);
  });
});

describe('the picker', () => {
  it('takes less than 100 µs to choose among 200 endpoints', () => {
    const costUs = pickCostUs(200);

    assert(costUs < 100, `${costUs} µs`);
  });
});
