import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Candidate, FaultDeck } from '#test/chaos/faults/fault-deck.ts';
import type { InstanceRole } from '#test/chaos/mesh/instance.ts';
import { numbers } from '#test/mutations.ts';

interface Named extends Candidate {
  readonly name: string;
}

const kind = (name: string, ...roles: InstanceRole[]) => ({ name, roles });

const one = (role: InstanceRole, number: number, isHealthy = true): Named => ({
  name: `${role}-${number}`,
  role,
  isHealthy,
});

const BACKBONE_KINDS = ['kill', 'stop', 'drain'].map((name) => kind(name, 'llm-backbone'));

function deckOf(kinds: readonly { name: string; roles: readonly InstanceRole[] }[], seed = 1) {
  return new FaultDeck(kinds, numbers(seed));
}

describe('FaultDeck', () => {
  it('deals every kind once before any comes again', () => {
    const backbones = [1, 2, 3].map((number) => one('llm-backbone', number));
    const deck = deckOf(BACKBONE_KINDS);

    const dealt = Array.from({ length: 6 }, () => deck.deal(backbones)?.kind.name);

    for (const round of [dealt.slice(0, 3), dealt.slice(3)]) {
      assert.deepEqual([...round].sort(), ['drain', 'kill', 'stop']);
    }
  });

  it('deals the same faults for the same seed, and others for another', () => {
    const backbones = [1, 2, 3].map((number) => one('llm-backbone', number));
    const faultsOf = (seed: number) => {
      const deck = deckOf(BACKBONE_KINDS, seed);
      const choices = Array.from({ length: 12 }, () => deck.deal(backbones));
      return choices.map((choice) => `${choice?.kind.name} of ${choice?.target.name}`);
    };

    assert.deepEqual(faultsOf(7), faultsOf(7));
    assert.notDeepEqual(faultsOf(7), faultsOf(8));
  });

  it('spares the last healthy instance of a role', () => {
    const backbones = [one('llm-backbone', 1, false), one('llm-backbone', 2)];

    assert.equal(deckOf(BACKBONE_KINDS).deal(backbones), undefined);
  });

  it('chooses only a healthy target', () => {
    const backbones = [
      one('llm-backbone', 1, false),
      one('llm-backbone', 2),
      one('llm-backbone', 3),
    ];
    const deck = deckOf(BACKBONE_KINDS);

    const targets = Array.from({ length: 30 }, () => deck.deal(backbones)?.target.name);

    assert.deepEqual([...new Set(targets)].sort(), ['llm-backbone-2', 'llm-backbone-3']);
  });

  it('does not take another role for a replacement', () => {
    const encoders = [one('vision-encoder', 1), one('speech-encoder', 1)];
    const kinds = [kind('kill', 'vision-encoder', 'speech-encoder')];

    assert.equal(deckOf(kinds).deal(encoders), undefined);
  });

  it('does not spare the only registry, unless something is being done to it', () => {
    const kinds = [kind('registry-kill', 'registry')];

    const dealt = [true, false].map((isHealthy) =>
      deckOf(kinds).deal([one('registry', 1, isHealthy)]),
    );

    assert.deepEqual(
      dealt.map((choice) => choice?.kind.name),
      ['registry-kill', undefined],
    );
  });

  it('deals another kind while one cannot be done', () => {
    const kinds = [kind('gateway-kill', 'gateway'), kind('backbone-kill', 'llm-backbone')];
    const instances = [
      one('gateway', 1),
      one('gateway', 2, false),
      one('llm-backbone', 1),
      one('llm-backbone', 2),
    ];
    const deck = deckOf(kinds);

    const dealt = Array.from({ length: 4 }, () => deck.deal(instances)?.kind.name);

    assert.deepEqual(dealt, Array(4).fill('backbone-kill'));
  });
});
