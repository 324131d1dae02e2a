/** A range of code points, both ends included. */
export type CharRange = readonly [first: number, last: number];

/** A form of text. */
export type GrammarNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'chars'; readonly ranges: readonly CharRange[] }
  | { readonly kind: 'sequence'; readonly nodes: readonly GrammarNode[] }
  | { readonly kind: 'choice'; readonly nodes: readonly GrammarNode[] }
  | {
      readonly kind: 'repeat';
      readonly node: GrammarNode;
      readonly min: number;
      /** Infinity: no bound. */
      readonly max: number;
    }
  | { readonly kind: 'rule'; readonly name: string }
  /** Text in which none of some texts stands. */
  | { readonly kind: 'without'; readonly texts: readonly string[] }
  /** Texts of a form that another form has too, or has not. Neither may refer to rules. */
  | { readonly kind: 'both' | 'except'; readonly node: GrammarNode; readonly other: GrammarNode }
  | Machine;

/** A deterministic automaton of bytes; state 0 is its start. */
export interface Machine {
  readonly kind: 'machine';
  readonly states: readonly MachineState[];
}

/** A state of a machine; no two edges have a byte in common. */
export interface MachineState {
  readonly isFinal: boolean;
  readonly edges: readonly ByteEdge[];
}

/** An edge that takes one byte of a range. */
export interface ByteEdge {
  readonly first: number;
  readonly last: number;
  readonly to: number;
}

/** Forms by name, which may refer to each other. */
export interface GrammarRules {
  readonly root: GrammarNode;
  readonly rules: ReadonlyMap<string, GrammarNode>;
}

export const LAST_CHAR = 0x10ffff;

export function text(value: string): GrammarNode {
  return { kind: 'text', text: value };
}

export function chars(...ranges: readonly CharRange[]): GrammarNode {
  return { kind: 'chars', ranges };
}

export function sequence(...nodes: readonly GrammarNode[]): GrammarNode {
  return nodes.length === 1 && nodes[0] !== undefined ? nodes[0] : { kind: 'sequence', nodes };
}

/** Makes a choice; one of nothing is a form that no text has. */
export function choice(...nodes: readonly GrammarNode[]): GrammarNode {
  return nodes.length === 1 && nodes[0] !== undefined ? nodes[0] : { kind: 'choice', nodes };
}

export function repeat(
  node: GrammarNode,
  min: number,
  max = Number.POSITIVE_INFINITY,
): GrammarNode {
  return { kind: 'repeat', node, min, max };
}

export function optional(node: GrammarNode): GrammarNode {
  return repeat(node, 0, 1);
}

export function rule(name: string): Extract<GrammarNode, { readonly kind: 'rule' }> {
  return { kind: 'rule', name };
}

/** Makes the texts that two forms have. */
export function both(node: GrammarNode, other: GrammarNode): GrammarNode {
  return { kind: 'both', node, other };
}

/** Makes the texts of a form that another has not. */
export function except(node: GrammarNode, other: GrammarNode): GrammarNode {
  return { kind: 'except', node, other };
}

/** Returns the ranges of all code points that are in none of the given ones, in order. */
export function otherChars(ranges: readonly CharRange[]): CharRange[] {
  const others: CharRange[] = [];
  let next = 0;
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    if (first > next) others.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= LAST_CHAR) others.push([next, LAST_CHAR]);
  return others;
}

/** Returns the ranges of the code points that are in both lists. */
export function commonChars(a: readonly CharRange[], b: readonly CharRange[]): CharRange[] {
  return otherChars([...otherChars(a), ...otherChars(b)]);
}
