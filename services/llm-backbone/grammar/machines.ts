import type { CompileBudget } from './compile-budget.ts';
import type { ByteEdge, GrammarNode, Machine, MachineState } from './grammar-node.ts';
import { RuleNetwork } from './rule-network.ts';
import { type ByteClasses, byteClasses, NONE, RuleMaker, type RuleStates } from './rule-states.ts';

/** State of the other form of which no text is left. */
const LOST = -1;

/** Makes deterministic automata of forms that refer to no rules. Throws TooComplex. */
export class MachineMaker {
  readonly #budget: CompileBudget;
  readonly #made = new Map<GrammarNode, Machine>();

  constructor(budget: CompileBudget) {
    this.#budget = budget;
  }

  /** Returns a form in which what two forms have in common, or not, is a machine. */
  resolved(node: GrammarNode): GrammarNode {
    switch (node.kind) {
      case 'sequence':
      case 'choice':
        return { kind: node.kind, nodes: node.nodes.map((one) => this.resolved(one)) };
      case 'repeat':
        return { ...node, node: this.resolved(node.node) };
      case 'both':
      case 'except':
        return this.#combined(node);
      default:
        return node;
    }
  }

  /** Returns the machine of a form. */
  machine(node: GrammarNode): Machine {
    const known = this.#made.get(node);
    if (known !== undefined) return known;
    const network = this.#network(node);
    const classes = byteClasses([network]);
    const states = new RuleMaker(classes, this.#budget).make(network);
    const machine = machineOf(
      states.map(({ next, isFinal }) => ({ next: [...next], isFinal })),
      classes,
    );
    this.#made.set(node, machine);
    return machine;
  }

  #network(node: GrammarNode): RuleNetwork {
    return new RuleNetwork(this.resolved(node), this.#budget, (name) => {
      throw new TypeError(`a form of forms refers to the rule "${name}"`);
    });
  }

  #combined(node: Extract<GrammarNode, { readonly kind: 'both' | 'except' }>): Machine {
    const known = this.#made.get(node);
    if (known !== undefined) return known;
    const networks = [this.#network(node.node), this.#network(node.other)] as const;
    const classes = byteClasses(networks);
    const [states, others] = networks.map((one) =>
      new RuleMaker(classes, this.#budget).make(one),
    ) as [RuleStates, RuleStates];
    const machine = this.#product({ states, others, classes, isBoth: node.kind === 'both' });
    this.#made.set(node, machine);
    return machine;
  }

  /** Walks two automata side by side. */
  #product({ states, others, classes, isBoth }: Walk): Machine {
    const pairs: (readonly [state: number, other: number])[] = [[0, 0]];
    const known = new Map([['0 0', 0]]);
    const made: TableState[] = [];
    for (const [state, other] of pairs) {
      this.#budget.checkTable({ numStates: pairs.length, numClasses: classes.count });
      this.#budget.spend(classes.count);
      const isTaken = others[other]?.isFinal ?? false;
      const next = Array.from({ length: classes.count }, (_, one) => {
        const to = states[state]?.next[one] ?? NONE;
        const beside = others[other]?.next[one] ?? NONE;
        if (to === NONE || (isBoth && beside === NONE)) return NONE;
        const key = `${to} ${beside === NONE ? LOST : beside}`;
        const index = known.get(key) ?? pairs.length;
        if (index === pairs.length) {
          known.set(key, index);
          pairs.push([to, beside]);
        }
        return index;
      });
      made.push({ next, isFinal: (states[state]?.isFinal ?? false) && isTaken === isBoth });
    }
    return machineOf(made, classes);
  }
}

interface Walk {
  readonly states: RuleStates;
  readonly others: RuleStates;
  readonly classes: ByteClasses;
  readonly isBoth: boolean;
}

interface TableState {
  /** `[num_classes]`: the next state, or NONE. */
  readonly next: readonly number[];
  readonly isFinal: boolean;
}

function machineOf(states: readonly TableState[], classes: ByteClasses): Machine {
  return {
    kind: 'machine',
    states: states.map(({ next, isFinal }): MachineState => {
      const edges: ByteEdge[] = [];
      for (let first = 0; first < 256; ) {
        const to = next[classes.of[first] ?? 0] ?? NONE;
        let end = first + 1;
        while (end < 256 && (next[classes.of[end] ?? 0] ?? NONE) === to) end++;
        if (to !== NONE) edges.push({ first, last: end - 1, to });
        first = end;
      }
      return { isFinal, edges };
    }),
  };
}

/** Tells whether a text is one of a machine's. */
export function takes({ states }: Machine, text: string): boolean {
  let at = states[0];
  for (const byte of Buffer.from(text, 'utf8')) {
    const edge = at?.edges.find(({ first, last }) => first <= byte && byte <= last);
    if (edge === undefined) return false;
    at = states[edge.to];
  }
  return at?.isFinal ?? false;
}
