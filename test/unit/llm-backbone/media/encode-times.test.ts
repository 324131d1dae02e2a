import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EncodeTimes } from '#backbone/media/encode-times.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';

describe('EncodeTimes', () => {
  it('tells nothing before there are 20', () => {
    const times = new EncodeTimes();
    for (const ms of ids(1, 19)) times.add(ms);
    assert.equal(times.p95Ms, undefined);

    times.add(20);

    assert.equal(times.p95Ms, 19);
  });

  it('forgets all but the last 256', () => {
    const times = new EncodeTimes();
    for (const _ of ids(0, 1000)) times.add(5000);
    for (const _ of ids(0, 243)) times.add(10);
    assert.equal(times.p95Ms, 5000, '13 of 256 were slow');

    times.add(10);

    assert.equal(times.p95Ms, 10, '12 of 256 were slow');
  });
});
