import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildAutomaton } from '#backbone/grammar/automaton.ts';
import { type GrammarNode, rule, text } from '#backbone/grammar/grammar-node.ts';

/** Builds a chain of rules, each of which is the next one; returns how often a node was looked at. */
function looksAtChain(length: number): number {
  let numLooks = 0;
  const counted = (node: GrammarNode) =>
    new Proxy(node, {
      get(target, key) {
        if (key === 'kind') numLooks++;
        return Reflect.get(target, key);
      },
    });
  const rules = new Map(
    Array.from({ length }, (_, i) => {
      const node = i === length - 1 ? text('a') : rule(`r${i + 1}`);
      return [`r${i}`, counted(node)] as const;
    }),
  );
  const { numClasses } = buildAutomaton({ root: rule('r0'), rules });
  assert.equal(numClasses, 3);
  return numLooks;
}

describe('an automaton of many rules', () => {
  it('takes work by their number, in whatever order they refer to each other', () => {
    const [few, many] = [looksAtChain(200), looksAtChain(2000)];

    assert.ok(many <= 11 * few, `${few} looks at 200 rules, ${many} at 2,000`);
  });
});
