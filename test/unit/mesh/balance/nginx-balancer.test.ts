import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NginxBalancer } from '#mesh/balance/nginx-balancer.ts';
import { FakeClock } from '#test/fake-clock.ts';

const MAX_FAILS = 3;

function balancer(clock: FakeClock, maxFails = MAX_FAILS): NginxBalancer {
  return new NginxBalancer({ clock, maxFails, failTimeoutS: 30 });
}

/** Servers `a`, `b`, … with the given weights. */
function serversOf(...weights: readonly number[]) {
  return weights.map((weight, index) => ({ address: 'abc'.charAt(index), weight }));
}

/**
 * Requests to server `a` at whole seconds. F: picked, fails. S: picked, succeeds. P: picked, runs
 * on. E, X: the one that runs succeeds or fails. -: not picked.
 */
const BANS: readonly (readonly [string, string])[] = [
  ['three failures ban until 31 s after the last one', '0F 1F 2F 3- 31- 32- 33S 34S 34F 34F 34S'],
  ['a success after a ban forgets the failures', '0F 1F 2F 33S 34F 35F 36S 37F 38-'],
  ['failures are no window of 30 s', '0F 25F 50F 51- 80- 81S 82F 83F 84S'],
  ['a success in between forgets nothing', '0F 5S 10F 15S 20F 21-'],
  ['a success picked over 30 s after a failure does', '0F 10F 41S 42F 43F 44S 45F 46-'],
  ['a failed probe bans again', '0F 0F 0F 31F 32- 61- 62S 63F 64F 65S'],
  ['one slow probe at a time', '0F 0F 0F 30- 31P 32- 61- 62P 63-'],
  ['a probe that ends well lets all in', '0F 0F 0F 31P 40- 41E 41S 41S'],
  ['a slow probe that fails bans from its end', '0F 0F 0F 31P 41X 42- 71- 72S'],
];

/** Plays steps on `a`, whose neighbour `b` counts as tried. */
function play(steps: string): string {
  const clock = new FakeClock();
  const balance = balancer(clock);
  const servers = serversOf(1, 1);
  const happened = steps.split(' ').map((step) => {
    const [, second = '', action = ''] = /^(\d+)([FSPEX-])$/.exec(step) ?? [];
    clock.advance(Number(second) * 1000 - clock.now());
    if (action === 'E' || action === 'X') {
      balance.release('a', action === 'X');
      return step;
    }
    const picked = balance.pick(servers, new Set('b'));
    if (picked === undefined) return `${second}-`;
    if (action === 'F' || action === 'S') balance.release('a', action === 'F');
    return action === '-' ? `${second}picked` : step;
  });
  return happened.join(' ');
}

/** The picks of requests that do not end, by the weights of the servers. */
const PICKS: readonly (readonly [readonly number[], string])[] = [
  [[1, 1, 1], 'abccbaa'],
  [[3, 1], 'abaaabaa'],
];

describe('NginxBalancer', () => {
  for (const [name, steps] of BANS) {
    it(`bans as nginx does: ${name}`, () => {
      assert.equal(play(steps), steps);
    });
  }

  for (const [weights, picks] of PICKS) {
    it(`picks ${picks} of servers with weights ${weights.join(':')}`, () => {
      const balance = balancer(new FakeClock());
      const servers = serversOf(...weights);
      const picked = Array.from(picks, () => balance.pick(servers, new Set()));

      assert.equal(picked.join(''), picks);
    });
  }

  it('counts whole seconds, so that a ban lasts up to a second longer', () => {
    const clock = new FakeClock();
    const balance = balancer(clock, 1);
    clock.advance(999);
    balance.pick(serversOf(1, 1), new Set('b'));
    balance.release('a', true);

    clock.advance(30_000);
    assert.equal(balance.pick(serversOf(1, 1), new Set('b')), undefined);
    clock.advance(1);
    assert.equal(balance.pick(serversOf(1, 1), new Set('b')), 'a');
  });

  it('picks the server with the fewest requests', () => {
    const balance = balancer(new FakeClock());
    const servers = serversOf(1, 1, 1);
    for (let n = 0; n < 6; n++) balance.pick(servers, new Set());

    balance.release('c', false);
    assert.equal(balance.pick(servers, new Set()), 'c');
  });

  it('skips those that were tried, and picks none when all were', () => {
    const balance = balancer(new FakeClock());
    const tried = new Set<string>();
    const picked = Array.from({ length: 4 }, () => {
      const address = balance.pick(serversOf(1, 1, 1), tried);
      if (address !== undefined) tried.add(address);
      return address;
    });

    assert.deepEqual(picked, ['a', 'b', 'c', undefined]);
  });

  it('picks none when all are banned', () => {
    const balance = balancer(new FakeClock());
    for (let n = 0; n < 2 * MAX_FAILS; n++) {
      balance.release(balance.pick(serversOf(1, 1), new Set()) ?? '', true);
    }

    assert.equal(balance.pick(serversOf(1, 1), new Set()), undefined);
  });

  it('never bans the only server', () => {
    const balance = balancer(new FakeClock());
    for (let n = 0; n < 9; n++) {
      assert.equal(balance.pick(serversOf(1), new Set()), 'a');
      balance.release('a', true);
    }
    assert.equal(balance.pick(serversOf(1), new Set('a')), undefined);
  });

  it('never bans without max_fails', () => {
    const balance = balancer(new FakeClock(), 0);
    for (let n = 0; n < 9; n++) {
      assert.equal(balance.pick(serversOf(1, 1), new Set('b')), 'a');
      balance.release('a', true);
    }
  });

  it('lowers the share of a heavy server that fails, and raises it round by round', () => {
    const clock = new FakeClock();
    const balance = balancer(clock);
    const servers = serversOf(3, 3);
    const round = () => {
      const picked = balance.pick(servers, new Set());
      balance.release(picked ?? '', false);
      return picked;
    };
    balance.pick(servers, new Set('b'));
    balance.release('a', true);

    assert.equal(Array.from({ length: 6 }, round).join(''), 'bababa');
  });

  it('knows nothing of a server that left and came back', () => {
    const balance = balancer(new FakeClock(), 1);
    balance.pick(serversOf(1, 1), new Set('b'));
    balance.release('a', true);
    assert.equal(balance.pick(serversOf(1, 1), new Set('b')), undefined);

    balance.keep(new Set(['b']));
    assert.equal(balance.pick(serversOf(1, 1), new Set('b')), 'a');
  });
});
