import type { Automaton } from '#native';
import { CompileBudget } from './compile-budget.ts';
import type { GrammarNode, GrammarRules } from './grammar-node.ts';
import { MachineMaker } from './machines.ts';
import { RuleNetwork } from './rule-network.ts';
import {
  addTo,
  type ByteClasses,
  byteClasses,
  NONE,
  RuleMaker,
  type RuleStates,
} from './rule-states.ts';

const ROOT = '';

/** A rule whose texts have no end, or that begins with itself. */
export class EndlessRule extends Error {
  readonly rule: string;

  constructor(rule: string, message: string) {
    super(message);
    this.name = 'EndlessRule';
    this.rule = rule;
  }
}

/**
 * Makes the automaton of a grammar. Throws TooComplex for one that takes too much work or memory, and
 * EndlessRule where no text ends or a rule begins with itself.
 */
export function buildAutomaton({ root, rules }: GrammarRules): Automaton {
  const all = new Map([...rules, [ROOT, root] as const]);
  const nullable = fixpoint(all, (node, has) => isNullable(node, has));
  const productive = fixpoint(all, (node, has) => isProductive(node, has));
  if (!productive.has(ROOT)) throw new EndlessRule(ROOT, 'no text of it ends');
  const budget = new CompileBudget();
  const machines = new MachineMaker(budget);
  const networks = new Map<string, RuleNetwork>();
  const pending = [ROOT];
  for (const name of pending) {
    const node = all.get(name);
    if (node === undefined || networks.has(name)) continue;
    const network = new RuleNetwork(machines.resolved(node), budget, (one) => nullable.has(one));
    networks.set(name, network);
    for (const { calls } of network.states) for (const call of calls) pending.push(call.rule);
  }
  const classes = byteClasses(networks.values());
  const maker = new RuleMaker(classes, budget);
  const states = new Map<string, RuleStates>();
  for (const [name, network] of networks) {
    if (productive.has(name)) states.set(name, maker.make(network));
  }
  for (const [name, one] of states) if (name !== ROOT) takeEmptyAway(one);
  trimAll(states);
  if (isEmpty(states.get(ROOT))) throw new EndlessRule(ROOT, 'no text of it ends');
  checkBeginnings(states);
  return layOut(states, classes);
}

/** Returns the rules for which a test holds, when it holds for those that they refer to. */
function fixpoint(
  rules: ReadonlyMap<string, GrammarNode>,
  holds: (node: GrammarNode, has: (rule: string) => boolean) => boolean,
): Set<string> {
  const found = new Set<string>();
  // Rules that a rule was missing in, to be looked at again when it is found: a chain of rules is then
  // no more work than as many rules side by side.
  const waiting = new Map<string, Set<string>>();
  const pending = new Set(rules.keys());
  for (const name of pending) {
    pending.delete(name);
    const node = rules.get(name);
    if (node === undefined || found.has(name)) continue;
    const has = (rule: string) => {
      if (found.has(rule)) return true;
      addTo(waiting, rule, name);
      return false;
    };
    if (!holds(node, has)) continue;
    found.add(name);
    for (const one of waiting.get(name) ?? []) pending.add(one);
    waiting.delete(name);
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
    case 'machine':
      return node.states[0]?.isFinal ?? false;
    case 'both':
      return isNullable(node.node, has) && isNullable(node.other, has);
    case 'except':
      return isNullable(node.node, has) && !isNullable(node.other, has);
  }
}

function isProductive(node: GrammarNode, has: (rule: string) => boolean): boolean {
  switch (node.kind) {
    case 'text':
    case 'without':
    // Whether these have texts shows when they have been made.
    case 'machine':
    case 'both':
    case 'except':
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
  const callers = new Map<string, Set<string>>();
  for (const [name, states] of rules) {
    for (const { calls } of states) for (const { rule } of calls) addTo(callers, rule, name);
  }
  const pending = new Set(rules.keys());
  for (const name of pending) {
    pending.delete(name);
    const states = rules.get(name);
    if (states === undefined || trim(states, rules) || name === ROOT) continue;
    rules.delete(name);
    for (const caller of callers.get(name) ?? []) pending.add(caller);
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

/** Tells whether nothing is left of a rule that has been trimmed. */
function isEmpty(states: RuleStates = []): boolean {
  const [start] = states;
  if (start === undefined) return true;
  return !start.isFinal && start.calls.length === 0 && start.next.every((to) => to === NONE);
}

/** Refuses a rule that begins with itself, maybe by way of others. */
function checkBeginnings(states: ReadonlyMap<string, RuleStates>): void {
  const done = new Set<string>();
  for (const first of states.keys()) {
    const path: { readonly name: string; readonly left: string[] }[] = [];
    const open = new Set<string>();
    const enter = (name: string) => {
      const calls = states.get(name)?.[0]?.calls ?? [];
      path.push({ name, left: calls.map(({ rule }) => rule) });
      open.add(name);
    };
    if (!done.has(first)) enter(first);
    for (let at = path.at(-1); at !== undefined; at = path.at(-1)) {
      const rule = at.left.pop();
      if (rule === undefined) {
        done.add(at.name);
        open.delete(at.name);
        path.pop();
      } else if (open.has(rule)) {
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
