import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RetryBudget } from '#mesh/balance/retry-budget.ts';

describe('RetryBudget', () => {
  it('lets a pool that refuses everything see at most 1.2 attempts a request', () => {
    const budget = new RetryBudget();
    let numAttempts = 0;
    // Ten seconds of 1,000 requests a second, which may each try three endpoints.
    for (let request = 0; request < 10_000; request++) {
      budget.deposit();
      numAttempts += 1;
      for (let retry = 0; retry < 2 && budget.withdraw(); retry++) numAttempts += 1;
    }

    assert(numAttempts <= 12_010, `${numAttempts}`);
    assert(numAttempts > 11_900, `${numAttempts}`);
  });

  it('is spent at first where nothing is saved, and pays after as many requests as it says', () => {
    const budget = new RetryBudget({ requestsPerRetry: 20, numSaved: 0 });
    for (let request = 0; request < 19; request++) budget.deposit();
    assert.equal(budget.isSpent, true);

    budget.deposit();

    assert.deepEqual([budget.withdraw(), budget.withdraw()], [true, false]);
  });
});
