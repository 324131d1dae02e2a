import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Harness, startHarness } from './harness.ts';
import { ODD_REQUESTS } from './odd-numbers.ts';

describe('odd numbers in requests', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  it('reach the backbone or are refused, and fail nothing', async () => {
    for (const { name, path, body } of ODD_REQUESTS) {
      const answer = await harness.post(path, body);
      const text = await answer.text();
      assert([200, 400].includes(answer.status), `${name}: ${answer.status} ${text}`);
    }
  });
});
