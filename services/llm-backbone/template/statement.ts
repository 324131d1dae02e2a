import {
  compileArguments,
  compileExpression,
  compileFilter,
  type Expression,
} from './expression.ts';
import { child, children, identifiersIn, type Node, optionalChild, textIn } from './node.ts';
import { toText } from './python-text.ts';
import type { Scope } from './scope.ts';
import { type Text, TextBuilder } from './text.ts';
import {
  type Arguments,
  Callable,
  isTrue,
  itemsOf,
  Loop,
  Namespace,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

/** How a statement ended: in order, or by a `break` or `continue` of the loop around it. */
type Outcome = 'done' | 'break' | 'continue';

/** A statement, ready to be run: it writes what it shows. */
type Statement = (scope: Scope, output: TextBuilder) => Outcome;

/** Compiles the statements of a template or of a block. */
export function compileBlock(nodes: readonly Node[]): Statement {
  const statements = nodes.filter(({ type }) => type !== 'Comment').map(compileStatement);
  return (scope, output) => {
    for (const statement of statements) {
      scope.work.step();
      const outcome = statement(scope, output);
      if (outcome !== 'done') return outcome;
    }
    return 'done';
  };
}

function compileStatement(node: Node): Statement {
  switch (node.type) {
    case 'If':
      return conditional(node);
    case 'For':
      return loop(node);
    case 'Set':
      return assignment(node);
    case 'Macro':
      return macro(node);
    case 'CallStatement':
      return callBlock(node);
    case 'FilterStatement': {
      const filter = compileFilter(child(node, 'filter'));
      const body = compileBlock(children(node, 'body'));
      return (scope, output) => write(output, filter(shown(body, scope.inner()), scope), scope);
    }
    case 'Break':
      return () => 'break';
    case 'Continue':
      return () => 'continue';
    default: {
      const value = compileExpression(withoutSafe(node));
      return (scope, output) => write(output, value(scope), scope);
    }
  }
}

/** Leaves out a `safe` at the end of an output, which means nothing without escaping. */
function withoutSafe(node: Node): Node {
  if (node.type !== 'FilterExpression') return node;
  const filter = child(node, 'filter');
  const isSafe = filter.type === 'Identifier' && textIn(filter) === 'safe';
  return isSafe ? child(node, 'operand') : node;
}

function write(output: TextBuilder, value: Value, scope: Scope): 'done' {
  output.append(toText(value));
  scope.work.made(output.length);
  return 'done';
}

/** Returns what a block shows. */
function shown(block: Statement, scope: Scope): Text {
  const output = new TextBuilder();
  block(scope, output);
  return output.build();
}

function conditional(node: Node): Statement {
  const test = compileExpression(child(node, 'test'));
  const body = compileBlock(children(node, 'body'));
  const alternate = compileBlock(children(node, 'alternate'));
  return (scope, output) => (isTrue(test(scope)) ? body(scope, output) : alternate(scope, output));
}

/** Sets the names of an assignment or a loop. */
type Target = (scope: Scope, value: Value) => void;

function target(node: Node): Target {
  if (node.type === 'Identifier') {
    const name = textIn(node);
    return (scope, value) => scope.set(name, value);
  }
  if (node.type === 'TupleLiteral') {
    const targets = children(node, 'value').map(target);
    return (scope, value) => {
      const items = itemsOf(value);
      if (items.length !== targets.length) {
        throw new TypeError(`${items.length} values for ${targets.length} names`);
      }
      for (const [i, one] of targets.entries()) one(scope, items[i] ?? null);
    };
  }
  if (node.type === 'MemberExpression' && node['computed'] !== true) {
    const object = compileExpression(child(node, 'object'));
    const name = textIn(child(node, 'property'));
    return (scope, value) => {
      const namespace = object(scope);
      if (!(namespace instanceof Namespace)) {
        throw new TypeError(`an attribute of a ${typeName(namespace)} cannot be set`);
      }
      namespace.attributes.set(name, value);
    };
  }
  throw new SyntaxError(`an assignment to a ${node.type} is not supported`);
}

function assignment(node: Node): Statement {
  const assign = target(child(node, 'assignee'));
  const given = optionalChild(node, 'value');
  if (given !== undefined) {
    const value = compileExpression(given);
    return (scope) => {
      assign(scope, value(scope));
      return 'done';
    };
  }
  const body = compileBlock(children(node, 'body'));
  return (scope) => {
    assign(scope, shown(body, scope.inner()));
    return 'done';
  };
}

function loop(node: Node): Statement {
  const assign = target(child(node, 'loopvar'));
  const iterable = child(node, 'iterable');
  const isFiltered = iterable.type === 'SelectExpression';
  const source = compileExpression(isFiltered ? child(iterable, 'lhs') : iterable);
  const filter = isFiltered ? compileExpression(child(iterable, 'test')) : undefined;
  const body = compileBlock(children(node, 'body'));
  const otherwise = compileBlock(children(node, 'defaultBlock'));
  return (scope, output) => {
    const items = itemsOf(source(scope)).filter((item) => isChosen(item, filter, assign, scope));
    if (items.length === 0) return otherwise(scope.inner(), output);
    const state = new Loop(items);
    for (const [i, item] of items.entries()) {
      state.index0 = i;
      const inner = scope.inner();
      inner.set('loop', state);
      assign(inner, item);
      scope.work.step();
      if (body(inner, output) === 'break') break;
    }
    return 'done';
  };
}

function isChosen(
  item: Value,
  filter: Expression | undefined,
  assign: Target,
  scope: Scope,
): boolean {
  if (filter === undefined) return true;
  const inner = scope.inner();
  assign(inner, item);
  scope.work.step();
  return isTrue(filter(inner));
}

interface Parameter {
  readonly name: string;
  readonly fallback: Expression | undefined;
}

function parametersOf(nodes: readonly Node[]): Parameter[] {
  return nodes.map((node) =>
    node.type === 'Identifier'
      ? { name: textIn(node), fallback: undefined }
      : { name: textIn(child(node, 'key')), fallback: compileExpression(child(node, 'value')) },
  );
}

/** A macro, or the body of a call block, as a function. */
interface Body {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly block: Statement;
}

/** Makes a function of a body that sees the names of the scope in which it was written. */
function functionOf({ name, parameters, block }: Body, home: Scope): Callable {
  return new Callable(name, (args) => {
    const scope = home.inner();
    bind(name, parameters, args, scope);
    return shown(block, scope);
  });
}

function bind(
  name: string,
  parameters: readonly Parameter[],
  { positional, named }: Arguments,
  scope: Scope,
): void {
  const rest = new Map(named);
  for (const [i, parameter] of parameters.entries()) {
    const value = i < positional.length ? positional[i] : rest.get(parameter.name);
    rest.delete(parameter.name);
    scope.set(parameter.name, value === undefined ? new Undefined(parameter.name) : value);
    if (value === undefined && parameter.fallback !== undefined) {
      scope.set(parameter.name, parameter.fallback(scope));
    }
  }
  const caller = rest.get('caller');
  if (caller !== undefined) scope.set('caller', caller);
  rest.delete('caller');
  if (rest.size > 0 || positional.length > parameters.length) {
    throw new TypeError(`the macro "${name}" got more arguments than it takes`);
  }
}

/** Names that a macro reads all of its arguments by. */
const SPREAD_NAMES: ReadonlySet<string> = new Set(['varargs', 'kwargs']);

function bodyOf(node: Node, name: string, parameters: readonly Node[]): Body {
  const used = identifiersIn(children(node, 'body'));
  const found = [...SPREAD_NAMES].find((one) => used.has(one));
  if (found !== undefined) throw new SyntaxError(`"${found}" in a macro is not supported`);
  return {
    name,
    parameters: parametersOf(parameters),
    block: compileBlock(children(node, 'body')),
  };
}

function macro(node: Node): Statement {
  const name = textIn(child(node, 'name'));
  const body = bodyOf(node, name, children(node, 'args'));
  return (scope) => {
    scope.set(name, functionOf(body, scope));
    return 'done';
  };
}

function callBlock(node: Node): Statement {
  const call = child(node, 'call');
  const body = bodyOf(node, 'caller', children(node, 'callerArgs'));
  const callee = compileExpression(child(call, 'callee'));
  const args = compileArguments(children(call, 'args'));
  return (scope, output) => {
    const macroValue = callee(scope);
    if (!(macroValue instanceof Callable)) throw new TypeError('a call block needs a macro');
    const { positional, named } = args(scope);
    const caller = functionOf(body, scope);
    const result = macroValue.call({ positional, named: new Map([...named, ['caller', caller]]) });
    return write(output, result, scope);
  };
}
