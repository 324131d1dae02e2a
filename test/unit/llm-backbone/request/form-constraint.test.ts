import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reasoningTags } from '#backbone/output/reasoning-counter.ts';
import { FormConstraint, type FormFacts } from '#backbone/request/form-constraint.ts';
import { bitsOf } from '../engine/only-next.ts';
import { grammarOf, vocabulary } from '../grammar/forced-text.ts';

const NUM_LOGITS = 1536;
const EOS = 1467;
const tags = reasoningTags(vocabulary);
const [OPEN = -1, CLOSE = -1] = [tags.open, tags.close];
const grammar = await grammarOf({ $case: 'regex', value: 'ab?' });

const [a, b] = ['a', 'b'].map(
  (text) =>
    Array.from({ length: vocabulary.size }, (_, id) => id).find(
      (id) => Buffer.from(vocabulary.bytesOf(id)).toString() === text,
    ) ?? assert.fail(`no token ${text}`),
) as [number, number];

function constraintOf(facts: Partial<FormFacts> = {}): FormConstraint {
  return new FormConstraint({
    grammar,
    numLogits: NUM_LOGITS,
    eosTokenIds: [EOS],
    tags,
    startsInReasoning: false,
    mayThink: false,
    ...facts,
  });
}

/** Returns the ids that a constraint allows behind a draft, those of single characters and ends. */
function allowed(constraint: FormConstraint, draftIds: readonly number[] = []): number[] {
  const shown = new Set([a, b, EOS, OPEN, CLOSE]);
  return bitsOf(constraint.mask(draftIds)).filter((id) => shown.has(id));
}

describe('the form of an answer', () => {
  it('allows its texts, and an end where one is complete', () => {
    const constraint = constraintOf();

    assert.deepEqual(allowed(constraint), [a]);
    constraint.accept(a);
    assert.deepEqual(allowed(constraint), [b, EOS]);
    constraint.accept(b);
    assert.deepEqual(allowed(constraint), [EOS]);
  });

  it('begins behind thoughts, which cannot end the answer', () => {
    const constraint = constraintOf({ mayThink: true });

    assert.deepEqual(allowed(constraint), [a, OPEN]);
    constraint.accept(OPEN);
    assert.deepEqual(allowed(constraint), [a, b, OPEN, CLOSE]);
    constraint.accept(b);
    constraint.accept(CLOSE);
    assert.deepEqual(allowed(constraint), [a]);
  });

  it('begins behind the thoughts that the prompt has opened', () => {
    const constraint = constraintOf({ startsInReasoning: true });

    constraint.accept(b);
    constraint.accept(CLOSE);
    assert.deepEqual(allowed(constraint), [a]);
  });

  it('says what may follow drafts, and forgets them', () => {
    const constraint = constraintOf({ mayThink: true });

    assert.deepEqual(allowed(constraint, [OPEN, b, CLOSE, a]), [b, EOS]);
    assert.equal(constraint.numAllowed([OPEN, b, CLOSE, a, b, b]), 5);
    assert.equal(constraint.numAllowed([b]), 0);
    assert.equal(constraint.numAllowed([a, EOS]), 1);
    assert.deepEqual(allowed(constraint), [a, OPEN]);
  });

  it('keeps the masks of several drafts apart until a token is accepted', () => {
    const constraint = constraintOf();

    const [next, behind] = [constraint.mask([]), constraint.mask([a])];

    assert(bitsOf(next).includes(a) && !bitsOf(next).includes(EOS));
    assert(bitsOf(behind).includes(EOS) && !bitsOf(behind).includes(a));
  });

  it('ends an answer with a token that is none of it', () => {
    const constraint = constraintOf();

    constraint.accept(b);

    assert.deepEqual(allowed(constraint), [EOS]);
    assert.equal(constraint.numAllowed([a]), 0);
  });
});
