import type { CompileBudget } from './compile-budget.ts';
import type { ByteEdge, GrammarNode, Machine } from './grammar-node.ts';
import { type ByteRanges, utf8Ranges } from './utf8.ts';

/** An edge that takes a text of another rule. */
export interface CallEdge {
  readonly rule: string;
  readonly to: number;
}

/** A state of a network; edges of `free` take nothing. */
interface NetworkState {
  readonly free: number[];
  readonly bytes: ByteEdge[];
  readonly calls: CallEdge[];
}

/** The non-deterministic automaton of one rule (Thompson 1968), from state `start` to state `end`. */
export class RuleNetwork {
  readonly states: NetworkState[] = [];
  readonly start: number;
  readonly end: number;
  readonly #budget: CompileBudget;
  /** Tells which rules take the empty text, besides others. */
  readonly #isNullable: (rule: string) => boolean;

  constructor(node: GrammarNode, budget: CompileBudget, isNullable: (rule: string) => boolean) {
    this.#budget = budget;
    this.#isNullable = isNullable;
    this.start = this.#addState();
    this.end = this.#addNode(node, this.start);
  }

  #addState(): number {
    this.#budget.takeNetworkState();
    this.states.push({ free: [], bytes: [], calls: [] });
    return this.states.length - 1;
  }

  #state(index: number): NetworkState {
    const state = this.states[index];
    if (state === undefined) throw new RangeError(`no state ${index}`);
    return state;
  }

  /** Adds the ways of a node from a state; returns the state behind them. */
  #addNode(node: GrammarNode, from: number): number {
    switch (node.kind) {
      case 'text':
        return this.#addBytes(Buffer.from(node.text, 'utf8'), from);
      case 'chars':
        return this.#addChars(node.ranges.flatMap(utf8Ranges), from);
      case 'sequence':
        return node.nodes.reduce((at, one) => this.#addNode(one, at), from);
      case 'choice':
        return this.#addChoice(node.nodes, from);
      case 'repeat':
        return this.#addRepeat(node, from);
      case 'rule':
        return this.#addCall(node.name, from);
      case 'without':
        return this.#addWithout(node.texts, from);
      case 'machine':
        return this.#addMachine(node, from);
      case 'both':
      case 'except':
        throw new TypeError('forms of forms are made machines first');
    }
  }

  #addBytes(bytes: Uint8Array, from: number): number {
    let at = from;
    for (const byte of bytes) at = this.#addByte(byte, byte, at);
    return at;
  }

  #addByte(first: number, last: number, from: number, to = this.#addState()): number {
    this.#state(from).bytes.push({ first, last, to });
    return to;
  }

  #addChars(chars: readonly ByteRanges[], from: number): number {
    const end = this.#addState();
    for (const bytes of chars) {
      let at = from;
      for (const [i, [first, last]] of bytes.entries()) {
        at = this.#addByte(first, last, at, i === bytes.length - 1 ? end : this.#addState());
      }
    }
    return end;
  }

  #addChoice(nodes: readonly GrammarNode[], from: number): number {
    const end = this.#addState();
    for (const node of nodes) {
      // A way of its own in and out: what repeats at its edges must not leak into the others.
      const first = this.#addState();
      this.#state(from).free.push(first);
      this.#state(this.#addNode(node, first)).free.push(end);
    }
    return end;
  }

  #addRepeat(
    { node, min, max }: Extract<GrammarNode, { readonly kind: 'repeat' }>,
    from: number,
  ): number {
    let at = from;
    for (let i = 0; i < min; i++) at = this.#addNode(node, at);
    if (max === Number.POSITIVE_INFINITY) {
      const hub = this.#addState();
      this.#state(at).free.push(hub);
      this.#state(this.#addNode(node, hub)).free.push(hub);
      const end = this.#addState();
      this.#state(hub).free.push(end);
      return end;
    }
    const end = this.#addState();
    this.#state(at).free.push(end);
    for (let i = min; i < max; i++) {
      const first = this.#addState();
      this.#state(at).free.push(first);
      at = this.#addNode(node, first);
      this.#state(at).free.push(end);
    }
    return end;
  }

  #addMachine({ states }: Machine, from: number): number {
    const end = this.#addState();
    const own = states.map(() => this.#addState());
    for (const [i, { isFinal, edges }] of states.entries()) {
      const state = this.#state(own[i] ?? end);
      if (isFinal) state.free.push(end);
      for (const { first, last, to } of edges) {
        state.bytes.push({ first, last, to: own[to] ?? end });
      }
    }
    this.#state(from).free.push(own[0] ?? end);
    return end;
  }

  #addCall(rule: string, from: number): number {
    const end = this.#addState();
    this.#state(from).calls.push({ rule, to: end });
    if (this.#isNullable(rule)) this.#state(from).free.push(end);
    return end;
  }

  /** Adds the automaton of Knuth, Morris and Pratt's kind, which falls back where a text breaks off. */
  #addWithout(texts: readonly string[], from: number): number {
    const patterns = texts.map((one) => Buffer.from(one, 'utf8').toString('latin1'));
    const end = this.#addState();
    const known = new Map<string, number>();
    const stateOf = (prefix: string): number => {
      const state = known.get(prefix) ?? this.#addState();
      if (!known.has(prefix)) {
        known.set(prefix, state);
        this.#state(state).free.push(end);
      }
      return state;
    };
    this.#state(from).free.push(stateOf(''));
    // The map grows while it is walked.
    for (const [prefix, state] of known) {
      for (let byte = 0; byte < 256; byte++) {
        const read = prefix + String.fromCharCode(byte);
        if (patterns.some((pattern) => read.endsWith(pattern))) continue;
        this.#addByte(byte, byte, state, stateOf(longestBeginning(read, patterns)));
      }
    }
    return end;
  }
}

/** Returns the longest end of a text with which one of the patterns begins. */
function longestBeginning(read: string, patterns: readonly string[]): string {
  for (let start = 0; start < read.length; start++) {
    const end = read.slice(start);
    if (patterns.some((pattern) => pattern.startsWith(end))) return end;
  }
  return '';
}
