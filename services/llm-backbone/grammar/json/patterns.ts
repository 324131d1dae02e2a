import { CompileBudget } from '../compile-budget.ts';
import type { GrammarNode } from '../grammar-node.ts';
import { MachineMaker, takes } from '../machines.ts';
import { RegexFault } from '../regex.ts';
import { matchingText, searchedText } from './text.ts';
import { refusal } from './values.ts';

/** Reads the patterns of one schema; refuses those that are not supported, with their place. */
export class Patterns {
  readonly #machines = new MachineMaker(new CompileBudget());
  readonly #searches = new Map<string, GrammarNode>();

  /** Makes what stands between the quotes of texts that a pattern matches as a whole. */
  matching(pattern: unknown, at: string): GrammarNode {
    return read(pattern, at, matchingText);
  }

  /** Makes what stands between the quotes of texts in which a pattern is found. */
  searched(pattern: unknown, at: string): GrammarNode {
    const known = this.#searches.get(String(pattern));
    if (known !== undefined) return known;
    const node = read(pattern, at, searchedText);
    this.#searches.set(String(pattern), node);
    return node;
  }

  /** Makes a form a machine; returns null if it has no texts. */
  texts(node: GrammarNode): GrammarNode | null {
    const machine = this.#machines.machine(node);
    return machine.states.some(({ isFinal }) => isFinal) ? machine : null;
  }

  /** Tells whether a pattern is found in a text. */
  isIn(text: string, pattern: unknown, at: string): boolean {
    const written = JSON.stringify(text).slice(1, -1);
    return takes(this.#machines.machine(this.searched(pattern, at)), written);
  }
}

function read(pattern: unknown, at: string, make: (pattern: string) => GrammarNode): GrammarNode {
  if (typeof pattern !== 'string') throw refusal(at, 'must be a text');
  try {
    return make(pattern);
  } catch (error: unknown) {
    if (!(error instanceof RegexFault)) throw error;
    throw refusal(at, error.message);
  }
}
