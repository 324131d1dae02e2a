import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSampler } from '#mesh/trace/sampler.ts';
import { newTraceId } from '#mesh/trace/trace-context.ts';
import { refusalOf } from '#test/refusal.ts';

const SAMPLED = { isSampled: true };
const UNSAMPLED = { isSampled: false };

function shareOf(sampler: ReturnType<typeof createSampler>): number {
  let numSampled = 0;
  for (let i = 0; i < 20_000; i++) if (sampler.samples(newTraceId(), undefined)) numSampled++;
  return numSampled / 20_000;
}

describe('createSampler', () => {
  it('follows the caller, and samples the share of the key otherwise', () => {
    const sampler = createSampler({ traceSampleRatio: 0.2 }, { OTEL_TRACES_SAMPLER: 'always_on' });

    assert.equal(sampler.samples(newTraceId(), SAMPLED), true);
    assert.equal(sampler.samples(newTraceId(), UNSAMPLED), false);
    const share = shareOf(sampler);
    assert(share > 0.15 && share < 0.25, `${share} are sampled`);
  });

  for (const [name, { root, sampled, unsampled }] of Object.entries({
    always_on: { root: true, sampled: true, unsampled: true },
    always_off: { root: false, sampled: false, unsampled: false },
    parentbased_always_on: { root: true, sampled: true, unsampled: false },
    parentbased_always_off: { root: false, sampled: true, unsampled: false },
    traceidratio: { root: false, sampled: false, unsampled: false },
    parentbased_traceidratio: { root: false, sampled: true, unsampled: false },
  })) {
    it(`reads ${name} of OTEL_TRACES_SAMPLER`, () => {
      const sampler = createSampler(
        {},
        { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: '0' },
      );
      const decisions = [undefined, SAMPLED, UNSAMPLED].map((parent) =>
        sampler.samples(newTraceId(), parent),
      );

      assert.deepEqual(decisions, [root, sampled, unsampled]);
    });
  }

  it('decides alike for one trace id', () => {
    const [one, other] = [0, 1].map(() => createSampler({ traceSampleRatio: 0.5 }, {}));
    for (let i = 0; i < 100; i++) {
      const id = newTraceId();
      assert.equal(one?.samples(id, undefined), other?.samples(id, undefined));
    }
  });

  it('refuses a sampler and a share that are none, naming the variable', () => {
    const sampler = refusalOf(() => createSampler({}, { OTEL_TRACES_SAMPLER: 'sometimes' }));
    const share = refusalOf(() =>
      createSampler({}, { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }),
    );

    assert.match(sampler.message, /OTEL_TRACES_SAMPLER: must be always_on.*got "sometimes"/);
    assert.match(share.message, /OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1, got "2"/);
  });
});
