import type { GrammarNode } from '../grammar-node.ts';
import type { Evaluation } from './evaluation.ts';
import type { SchemaObject } from './keywords.ts';
import type { Patterns } from './patterns.ts';

/** What the readers of objects, lists and texts ask of the reader of their schema. */
export interface Reading {
  readonly patterns: Patterns;
  readonly evaluation: Evaluation;
  /** Reads one schema; `place` is its path. */
  node(schema: unknown, place: string): GrammarNode;
  /** Returns the texts of a schema of texts, as a form that refers to no rules. */
  texts(schema: unknown, place: string): GrammarNode;
  /** Follows references until there is a schema with keywords of its own. */
  resolved(schema: unknown, place: string): SchemaObject | boolean;
  /** Makes a rule of a node, so that it is written out once; equal names have equal nodes. */
  shared(name: string, make: () => GrammarNode): GrammarNode;
  /** Returns a name that no rule has. */
  newName(what: string): string;
  /** Makes a rule of that name. */
  define(name: string, node: GrammarNode): GrammarNode;
}
