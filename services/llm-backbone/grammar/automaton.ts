import type { Automaton } from '#native';
import type { GrammarNode, GrammarRules } from './grammar-node.ts';
import { TooComplex } from './grammar-refusal.ts';
import { RuleNetwork, StateBudget } from './rule-network.ts';

/** Most steps of making networks deterministic: some tenths of a second. */
const MAX_WORK = 6_000_000;
/** Most states of all rules, and most entries of their table. */
const MAX_STATES = 40_000;
const MAX_ENTRIES = 6_000_000;

const ROOT = '';
const NONE = -1;

/** A rule whose texts have no end, or that begins with itself. */
export class EndlessRule extends Error {
  readonly rule: string;

  constructor(rule: string, message: string) {
    super(message);
    this.name = 'EndlessRule';
    this.rule = rule;
  }
}

/** A state of a deterministic rule. */
interface RuleState {
  /** `[num_classes]`: the next state of the rule, or -1. */
  readonly next: Int32Array;
  readonly calls: { readonly rule: string; readonly target: number }[];
  isFinal: boolean;
}

/** A rule that has been made deterministic; state 0 is its start. */
type RuleStates = RuleState[];

/**
 * Makes the automaton of a grammar. Throws TooComplex for one that takes too much work or memory, and
 * EndlessRule where no text ends or a rule begins with itself.
 */
export function buildAutomaton({ root, rules }: GrammarRules): Automaton {
  const all = new Map([...rules, [ROOT, root] as const]);
  const nullable = fixpoint(all, (node, has) => isNullable(node, has));
  const productive = fixpoint(all, (node, has) => isProductive(node, has));
  if (!productive.has(ROOT)) throw new EndlessRule(ROOT, 'no text of it ends');
  const budget = new StateBudget();
  const networks = new Map<string, RuleNetwork>();
  const pending = [ROOT];
  for (const name of pending) {
    const node = all.get(name);
    if (node === undefined || networks.has(name)) continue;
    const network = new RuleNetwork(node, budget, (one) => nullable.has(one));
    networks.set(name, network);
    for (const { calls } of network.states) for (const call of calls) pending.push(call.rule);
  }
  const classes = byteClasses(networks.values());
  const maker = new RuleMaker(classes);
  const states = new Map<string, RuleStates>();
  for (const [name, network] of networks) {
    if (productive.has(name)) states.set(name, maker.make(network));
  }
  for (const [name, one] of states) if (name !== ROOT) takeEmptyAway(one);
  trimAll(states);
  checkBeginnings(states);
  return layOut(states, classes);
}

/** Returns the rules for which a test holds, when it holds for those that they refer to. */
function fixpoint(
  rules: ReadonlyMap<string, GrammarNode>,
  holds: (node: GrammarNode, has: (rule: string) => boolean) => boolean,
): Set<string> {
  const found = new Set<string>();
  const has = (rule: string) => found.has(rule);
  for (let size = -1; size !== found.size; ) {
    size = found.size;
    for (const [name, node] of rules) if (!found.has(name) && holds(node, has)) found.add(name);
  }
  return found;
}

function isNullable(node: GrammarNode, has: (rule: string) => boolean): boolean {
  switch (node.kind) {
    case 'text':
      return node.text === '';
    case 'chars':
      return false;
    case 'sequence':
      return node.nodes.every((one) => isNullable(one, has));
    case 'choice':
      return node.nodes.some((one) => isNullable(one, has));
    case 'repeat':
      return node.min === 0 || isNullable(node.node, has);
    case 'rule':
      return has(node.name);
    case 'without':
      return true;
  }
}

function isProductive(node: GrammarNode, has: (rule: string) => boolean): boolean {
  switch (node.kind) {
    case 'text':
    case 'without':
      return true;
    case 'chars':
      return node.ranges.length > 0;
    case 'sequence':
      return node.nodes.every((one) => isProductive(one, has));
    case 'choice':
      return node.nodes.some((one) => isProductive(one, has));
    case 'repeat':
      return node.min === 0 || isProductive(node.node, has);
    case 'rule':
      return has(node.name);
  }
}

/** Classes of bytes that every edge of the networks treats alike. */
interface ByteClasses {
  readonly of: Uint8Array;
  readonly count: number;
}

function byteClasses(networks: Iterable<RuleNetwork>): ByteClasses {
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
class RuleMaker {
  readonly #classes: ByteClasses;
  #work = 0;
  #numStates = 0;

  constructor(classes: ByteClasses) {
    this.#classes = classes;
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

  #spend(work: number): void {
    this.#work += work;
    if (this.#work > MAX_WORK) {
      throw new TooComplex('it takes too much work to compile; make it simpler or smaller');
    }
  }

  #closure({ states, end }: RuleNetwork, from: Iterable<number>): Uint32Array {
    const found = new Set(from);
    for (const state of found) {
      for (const to of states[state]?.free ?? []) found.add(to);
    }
    this.#spend(found.size);
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
    if (++this.#numStates > MAX_STATES || this.#numStates * this.#classes.count > MAX_ENTRIES) {
      throw new TooComplex(`it has more than ${MAX_STATES} states; bound its repetitions lower`);
    }
    const byClass = new Map<number, Set<number>>();
    const byRule = new Map<string, Set<number>>();
    for (const state of set) {
      const { bytes = [], calls = [] } = network.states[state] ?? {};
      for (const { first, last, to } of bytes) {
        const [from, end] = [this.#classes.of[first] ?? 0, this.#classes.of[last] ?? 0];
        this.#spend(end - from + 1);
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

function addTo<Key>(sets: Map<Key, Set<number>>, key: Key, value: number): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

/** Takes the empty text from a rule, which its callers pass by themselves. */
function takeEmptyAway(states: RuleStates): void {
  const [start] = states;
  if (start === undefined || !start.isFinal) return;
  const isEntered = states.some(
    ({ next, calls }) => next.includes(0) || calls.some(({ target }) => target === 0),
  );
  if (!isEntered) {
    start.isFinal = false;
    return;
  }
  // What comes back to the start goes to a copy of it, which may end there.
  const copy = states.length;
  for (const { next, calls } of states) {
    for (const [i, to] of next.entries()) if (to === 0) next[i] = copy;
    calls.forEach((call, i) => {
      if (call.target === 0) calls[i] = { ...call, target: copy };
    });
  }
  states.push({ next: start.next.slice(), calls: [...start.calls], isFinal: true });
  start.isFinal = false;
}

/** Cuts what leads to no end, and drops the rules of which nothing is left. */
function trimAll(rules: Map<string, RuleStates>): void {
  for (let size = -1; size !== rules.size; ) {
    size = rules.size;
    for (const [name, states] of rules) {
      if (!trim(states, rules) && name !== ROOT) rules.delete(name);
    }
  }
}

/** Cuts the ways of a rule that lead to no end; tells whether one is left. */
function trim(states: RuleStates, all: ReadonlyMap<string, RuleStates>): boolean {
  const before: number[][] = states.map(() => []);
  for (const [from, { next, calls }] of states.entries()) {
    for (const to of new Set(next)) if (to !== NONE) before[to]?.push(from);
    for (const { rule, target } of calls) if (all.has(rule)) before[target]?.push(from);
  }
  const live = new Set(states.flatMap(({ isFinal }, state) => (isFinal ? [state] : [])));
  for (const state of live) for (const from of before[state] ?? []) live.add(from);
  for (const { next, calls } of states) {
    for (const [i, to] of next.entries()) if (!live.has(to)) next[i] = NONE;
    const kept = calls.filter(({ rule, target }) => all.has(rule) && live.has(target));
    calls.splice(0, calls.length, ...kept);
  }
  return live.has(0);
}

/** Refuses a rule that begins with itself, maybe by way of others. */
function checkBeginnings(states: ReadonlyMap<string, RuleStates>): void {
  const done = new Set<string>();
  for (const first of states.keys()) {
    const path: { readonly name: string; readonly left: string[] }[] = [];
    const enter = (name: string) => {
      const calls = states.get(name)?.[0]?.calls ?? [];
      path.push({ name, left: calls.map(({ rule }) => rule) });
    };
    if (!done.has(first)) enter(first);
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const rule = at.left.pop();
      if (rule === undefined) {
        done.add(at.name);
        path.pop();
      } else if (path.some(({ name }) => name === rule)) {
        throw new EndlessRule(rule, 'it begins with itself');
      } else if (!done.has(rule)) {
        enter(rule);
      }
    }
  }
}

function layOut(rules: ReadonlyMap<string, RuleStates>, { of, count }: ByteClasses): Automaton {
  const starts = new Map<string, number>();
  let numStates = 0;
  for (const [name, states] of rules) {
    starts.set(name, numStates);
    numStates += states.length;
  }
  const transitions = new Int32Array(numStates * count).fill(NONE);
  const isFinal = new Uint8Array(numStates);
  const callStarts = new Uint32Array(numStates + 1);
  const calls: number[] = [];
  for (const [name, states] of rules) {
    const first = starts.get(name) ?? 0;
    for (const [i, state] of states.entries()) {
      const row = (first + i) * count;
      for (const [one, to] of state.next.entries()) {
        if (to !== NONE) transitions[row + one] = first + to;
      }
      isFinal[first + i] = state.isFinal ? 1 : 0;
      for (const { rule, target } of state.calls) {
        calls.push(starts.get(rule) ?? 0, first + target);
      }
      callStarts[first + i + 1] = calls.length / 2;
    }
  }
  return {
    start: starts.get(ROOT) ?? 0,
    numClasses: count,
    classOf: of,
    transitions,
    isFinal,
    callStarts,
    calls: Uint32Array.from(calls),
  };
}
