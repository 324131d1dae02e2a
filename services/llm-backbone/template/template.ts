import { parse } from '@huggingface/jinja';
import { globals } from './globals.ts';
import { identifiersIn, isNode } from './node.ts';
import { type RenderLimits, Scope, Work } from './scope.ts';
import { compileBlock } from './statement.ts';
import { type Text, TextBuilder } from './text.ts';
import { readTokens } from './tokens.ts';
import type { Value } from './value.ts';

/**
 * A Jinja template, rendered as transformers renders it: in an immutable sandbox, with loop
 * controls, `trim_blocks` and `lstrip_blocks`. The library reads the source; what it would run
 * otherwise than Jinja is run here, so that every text keeps its origin.
 */
export class Template {
  /** Names that the template reads, its own included. */
  readonly variables: ReadonlySet<string>;
  readonly #block: ReturnType<typeof compileBlock>;
  readonly #today: () => Date;

  /** Throws a SyntaxError that names the construct if the template cannot be rendered faithfully. */
  constructor(source: string, today: () => Date = () => new Date()) {
    const statements: unknown = parse(readTokens(source)).body;
    if (!Array.isArray(statements) || !statements.every(isNode)) {
      throw new SyntaxError('the template has no statements');
    }
    this.#block = compileBlock(statements);
    this.variables = identifiersIn(statements);
    this.#today = today;
  }

  /** Renders the template; throws what it raises, or LimitReached. */
  render(names: ReadonlyMap<string, Value>, limits: RenderLimits): Text {
    const scope = Scope.root(new Work(limits), new Map([...globals(this.#today), ...names]));
    const output = new TextBuilder();
    this.#block(scope, output);
    return output.build();
  }
}
