import { both, choice, except, type GrammarNode, sequence, text } from './grammar-node.ts';

/** What the rest of a text must be, or must not. */
export interface Look {
  readonly kind: 'look';
  readonly node: RegexNode;
  readonly isNegated: boolean;
}

/** A form of text that may look ahead. */
export type RegexNode =
  | GrammarNode
  | Look
  | { readonly kind: 'sequence' | 'choice'; readonly nodes: readonly RegexNode[] }
  | {
      readonly kind: 'repeat';
      readonly node: RegexNode;
      readonly min: number;
      readonly max: number;
    };

/**
 * Returns the form that takes the same texts without looking ahead: what follows a look-ahead has
 * its texts in common with those that it describes. `fault` makes the error for a look-ahead that is
 * repeated. What follows a choice is written out once more for each branch that looks ahead.
 */
export function withoutLooks(node: RegexNode, fault: () => Error): GrammarNode {
  const followed = (one: RegexNode, rest: GrammarNode): GrammarNode => {
    if (isPlain(one)) return sequence(one, rest);
    switch (one.kind) {
      case 'look': {
        const seen = followed(one.node, text(''));
        return one.isNegated ? except(rest, seen) : both(rest, seen);
      }
      case 'sequence':
        return one.nodes.reduceRight<GrammarNode>((after, part) => followed(part, after), rest);
      case 'choice': {
        const plain = one.nodes.filter(isPlain);
        const others = one.nodes.filter((part) => !isPlain(part));
        const ways = others.map((part) => followed(part, rest));
        return choice(...(plain.length === 0 ? [] : [sequence(choice(...plain), rest)]), ...ways);
      }
      case 'repeat':
        if (one.max !== 1) throw fault();
        return one.min === 1 ? followed(one.node, rest) : choice(followed(one.node, rest), rest);
    }
  };
  return isPlain(node) ? node : followed(node, text(''));
}

function isPlain(node: RegexNode): node is GrammarNode {
  switch (node.kind) {
    case 'look':
      return false;
    case 'sequence':
    case 'choice':
      return node.nodes.every(isPlain);
    case 'repeat':
      return isPlain(node.node);
    default:
      return true;
  }
}
