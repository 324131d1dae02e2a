import type { CompileBudget } from './compile-budget.ts';
import type { RuleNetwork } from './rule-network.ts';

/** Stands for no state. */
export const NONE = -1;

/** A state of a deterministic rule. */
export interface RuleState {
  /** `[num_classes]`: the next state of the rule, or -1. */
  readonly next: Int32Array;
  readonly calls: { readonly rule: string; readonly target: number }[];
  isFinal: boolean;
}

/** A rule that has been made deterministic; state 0 is its start. */
export type RuleStates = RuleState[];

/** Classes of bytes that every edge of the networks treats alike. */
export interface ByteClasses {
  readonly of: Uint8Array;
  readonly count: number;
}

export function byteClasses(networks: Iterable<RuleNetwork>): ByteClasses {
  const starts = new Uint8Array(257);
  starts[0] = 1;
  for (const { states } of networks) {
    for (const { bytes } of states) {
      for (const { first, last } of bytes) {
        starts[first] = 1;
        starts[last + 1] = 1;
      }
    }
  }
  const of = new Uint8Array(256);
  let count = 0;
  for (let byte = 0; byte < 256; byte++) {
    if (starts[byte] === 1) count++;
    of[byte] = count - 1;
  }
  return { of, count };
}

/** Makes networks deterministic (Rabin and Scott 1959); calls count as letters. */
export class RuleMaker {
  readonly #classes: ByteClasses;
  readonly #budget: CompileBudget;
  #numStates = 0;

  constructor(classes: ByteClasses, budget: CompileBudget) {
    this.#classes = classes;
    this.#budget = budget;
  }

  make(network: RuleNetwork): RuleStates {
    const made: RuleStates = [];
    const sets: Uint32Array[] = [];
    const known = new Map<string, number>();
    const indexOf = (from: Iterable<number>): number => {
      const set = this.#closure(network, from);
      const key = Buffer.from(set.buffer, set.byteOffset, set.byteLength).toString('latin1');
      const index = known.get(key) ?? sets.length;
      if (index === sets.length) {
        known.set(key, index);
        sets.push(set);
      }
      return index;
    };
    indexOf([network.start]);
    for (let index = 0; index < sets.length; index++) {
      const set = sets[index] ?? new Uint32Array();
      made.push(this.#stateOf(network, set, indexOf));
    }
    return made;
  }

  #closure({ states, end }: RuleNetwork, from: Iterable<number>): Uint32Array {
    const found = new Set(from);
    for (const state of found) {
      for (const to of states[state]?.free ?? []) found.add(to);
    }
    this.#budget.spend(found.size);
    // What has only free edges makes no difference, except for the end.
    const counts = (state: number) => {
      const { bytes = [], calls = [] } = states[state] ?? {};
      return bytes.length > 0 || calls.length > 0 || state === end;
    };
    return Uint32Array.from([...found].filter(counts)).sort();
  }

  #stateOf(
    network: RuleNetwork,
    set: Uint32Array,
    indexOf: (from: Iterable<number>) => number,
  ): RuleState {
    this.#budget.checkTable({ numStates: ++this.#numStates, numClasses: this.#classes.count });
    const byClass = new Map<number, Set<number>>();
    const byRule = new Map<string, Set<number>>();
    for (const state of set) {
      const { bytes = [], calls = [] } = network.states[state] ?? {};
      for (const { first, last, to } of bytes) {
        const [from, end] = [this.#classes.of[first] ?? 0, this.#classes.of[last] ?? 0];
        this.#budget.spend(end - from + 1);
        for (let one = from; one <= end; one++) addTo(byClass, one, to);
      }
      for (const { rule, to } of calls) addTo(byRule, rule, to);
    }
    const next = new Int32Array(this.#classes.count).fill(NONE);
    for (const [one, targets] of byClass) next[one] = indexOf(targets);
    const rules = [...byRule].sort(([a], [b]) => (a < b ? -1 : 1));
    const calls = rules.map(([rule, targets]) => ({ rule, target: indexOf(targets) }));
    return { next, calls, isFinal: set.includes(network.end) };
  }
}

/** Adds a value to the set of a key, which begins empty. */
export function addTo<Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}
