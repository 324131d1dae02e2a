import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Delivery } from '#gateway/routing/delivery.ts';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';
import type { TokenLogprob } from '#protos/autoglm/llm/v1/llm_backbone.ts';

function scoresOf(...tokenIds: readonly number[]): TokenLogprob[] {
  return tokenIds.map((tokenId) => {
    const token = { tokenId, text: Buffer.from(`${tokenId}`), logprob: -1 };
    return { token, rank: 1, top: [] };
  });
}

const prompt = (...tokenIds: readonly number[]): GenerateEvent => ({
  $case: 'promptLogprobs',
  value: { tokens: scoresOf(...tokenIds) },
});

const accepted = (numPromptTokens: number): GenerateEvent => ({
  $case: 'accepted',
  value: {
    numPromptTokens,
    numCachedTokens: 0,
    seed: 7n,
    promptTokenIds: [],
    numImageTokens: 0,
    numAudioTokens: 0,
    audioDurationMs: 0,
  },
});

/** Passes events on; returns the token ids of each that has a prompt's log-probabilities. */
async function passedOn(events: readonly GenerateEvent[]): Promise<(number | undefined)[][]> {
  const passed: (number | undefined)[][] = [];
  const delivery = new Delivery((event) => {
    if (event.$case !== 'promptLogprobs') return undefined;
    passed.push(event.value.tokens.map(({ token }) => token?.tokenId));
    return undefined;
  });
  for (const event of events) await delivery.pass(event);
  return passed;
}

describe("a delivery of a prompt's log-probabilities", () => {
  it('passes the parts on together', async () => {
    const passed = await passedOn([accepted(6), prompt(1, 2), prompt(3), prompt(4, 5)]);

    assert.deepEqual(passed, [[1, 2, 3, 4, 5]]);
  });

  it('passes on that a prompt of one token has none', async () => {
    assert.deepEqual(await passedOn([accepted(1), prompt()]), [[]]);
  });

  it('begins anew when another backbone does', async () => {
    const first = [accepted(4), prompt(1, 2)];
    const second = [accepted(4), prompt(1), prompt(2, 3)];
    const third = [accepted(4), prompt(1, 2, 3)];

    assert.deepEqual(await passedOn([...first, ...second, ...third]), [[1, 2, 3]]);
  });
});
