import { Ejection } from '#mesh/balance/ejection.ts';
import { hash32 } from '#mesh/balance/hash.ts';
import { LeastWorkPicker } from '#mesh/balance/least-work-picker.ts';
import { PeerWork } from '#mesh/peers/peer-work.ts';
import { percentile } from '#test/chaos/report/pauses.ts';
import { FakeClock } from '#test/fake-clock.ts';
import { seededRandom } from '#test/seeded-random.ts';

/** Work of a request and about the work inside an endpoint, tokens. */
const WORK = 512;
const WORK_INSIDE = 8192;

const NUM_ROUNDS = 40;
const PICKS_PER_ROUND = 500;

/**
 * Measures a pick by prefix among endpoints whose work is that of others; returns the median over
 * many rounds, in microseconds, so that pauses of a busy machine do not count.
 */
export function pickCostUs(numEndpoints: number): number {
  const clock = new FakeClock();
  const random = seededRandom(1);
  const ejection = new Ejection({ maxFails: 3, failTimeoutMs: 30_000, clock });
  const picker = new LeastWorkPicker({ ejection, random });
  const endpoints = Array.from({ length: numEndpoints }, (_, index) => {
    const address = `10.0.0.${index}:8051`;
    const work = new PeerWork();
    work.report(Math.ceil(WORK_INSIDE * (0.5 + random())), clock.now());
    return { address, hash: hash32(address), member: { weight: 1 }, work };
  });
  const costsUs = Array.from({ length: NUM_ROUNDS }, (_, round) => {
    const startedMs = performance.now();
    for (let i = 0; i < PICKS_PER_ROUND; i++) {
      const affinity = hash32(`${round} ${i}`);
      picker.pick(endpoints, endpoints, { work: WORK, affinity })?.work.begin(1);
    }
    return (1000 * (performance.now() - startedMs)) / PICKS_PER_ROUND;
  });
  return percentile(costsUs, 0.5);
}
