import { attributeOf, itemOf, MISSING_METHODS, sliceOf } from './attribute.ts';
import { FILTERS, MISSING_FILTERS } from './filters.ts';
import { MISSING_GLOBALS } from './globals.ts';
import { child, children, isNode, type Node, operatorOf, optionalChild, textIn } from './node.ts';
import { COMPARISONS, OPERATORS } from './operators.ts';
import type { Scope } from './scope.ts';
import { strftime } from './strftime.ts';
import { TESTS } from './tests.ts';
import { Text } from './text.ts';
import { testOf } from './tokens.ts';
import {
  type Arguments,
  Callable,
  Dict,
  type Entry,
  isTrue,
  itemsOf,
  List,
  numberOf,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

/** An expression, ready to be evaluated. */
export type Expression = (scope: Scope) => Value;

const CONSTANTS: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['none', null],
  ['None', null],
]);

/** Compiles an expression; refuses what would not be evaluated as Jinja does, by its name. */
export function compileExpression(node: Node): Expression {
  switch (node.type) {
    case 'StringLiteral': {
      const text = Text.of(textIn(node));
      return () => text;
    }
    case 'IntegerLiteral': {
      const literal = Number(node['value']);
      if (!Number.isSafeInteger(literal)) {
        throw new SyntaxError(`an integer as large as ${literal} is not supported`);
      }
      const value = BigInt(literal);
      return () => value;
    }
    case 'FloatLiteral': {
      const value = Number(node['value']);
      return () => value;
    }
    case 'ArrayLiteral':
      return list(node, { isTuple: false });
    case 'TupleLiteral':
      return list(node, { isTuple: true });
    case 'ObjectLiteral':
      return dict(node);
    case 'Identifier':
      return identifier(textIn(node));
    case 'MemberExpression':
      return member(node);
    case 'CallExpression':
      return call(node);
    case 'FilterExpression': {
      const operand = compileExpression(child(node, 'operand'));
      const filter = compileFilter(child(node, 'filter'));
      return (scope) => filter(operand(scope), scope);
    }
    case 'TestExpression':
      return test(node);
    case 'UnaryExpression':
      return unary(node);
    case 'BinaryExpression':
      return binary(node);
    case 'Ternary':
      return choice(node, ['condition', 'trueExpr', 'falseExpr']);
    case 'SelectExpression':
      return choice(node, ['test', 'lhs', undefined]);
    default:
      throw new SyntaxError(`a ${node.type} cannot be used as a value`);
  }
}

function list(node: Node, options: { readonly isTuple: boolean }): Expression {
  const items = children(node, 'value').map(compileExpression);
  return (scope) =>
    new List(
      items.map((item) => item(scope)),
      options,
    );
}

function dict(node: Node): Expression {
  const map = node['value'];
  if (!(map instanceof Map)) throw new SyntaxError('a dict without entries cannot be read');
  const entries = [...map].map(([key, value]: [unknown, unknown]) => {
    if (!isNode(key) || !isNode(value)) throw new SyntaxError('a dict entry cannot be read');
    return { key: compileExpression(key), value: compileExpression(value) };
  });
  const evaluate = (scope: Scope) =>
    entries.map(({ key, value }): Entry => {
      const name = key(scope);
      if (name instanceof Text) return { key: name, value: value(scope) };
      throw new TypeError(`the key of a dict must be a str here, not a ${typeName(name)}`);
    });
  return (scope) => new Dict(evaluate(scope));
}

function identifier(name: string): Expression {
  const constant = CONSTANTS.get(name);
  if (constant !== undefined) return () => constant;
  if (MISSING_GLOBALS.has(name)) throw new SyntaxError(`the global "${name}" is not supported`);
  return (scope) => scope.get(name);
}

function member(node: Node): Expression {
  const object = compileExpression(child(node, 'object'));
  const property = child(node, 'property');
  if (property.type === 'SliceExpression') {
    const bound = (name: string): Expression => {
      const given = optionalChild(property, name);
      return given === undefined ? () => null : compileExpression(given);
    };
    const [start, stop, step] = [bound('start'), bound('stop'), bound('step')];
    return (scope) =>
      sliceOf(object(scope), { start: start(scope), stop: stop(scope), step: step(scope) });
  }
  if (node['computed'] === true || property.type === 'IntegerLiteral') {
    const key = compileExpression(property);
    return (scope) => itemOf(object(scope), key(scope));
  }
  const name = Text.of(textIn(property));
  return (scope) => attributeOf(object(scope), name);
}

function call(node: Node): Expression {
  const callee = child(node, 'callee');
  checkCallee(callee, children(node, 'args'));
  const target = compileExpression(callee);
  const args = compileArguments(children(node, 'args'));
  return (scope) => {
    scope.work.step();
    const value = target(scope);
    if (value instanceof Callable) return counted(value.call(args(scope)), scope);
    if (value instanceof Undefined) throw new TypeError(`"${value.name}" is undefined`);
    throw new TypeError(`a ${typeName(value)} cannot be called`);
  };
}

/** Refuses at once what is known to be missing, so that no template is found faulty by a request. */
function checkCallee(callee: Node, args: readonly Node[]): void {
  const property = callee.type === 'MemberExpression' ? child(callee, 'property') : undefined;
  if (property?.type === 'Identifier' && callee['computed'] !== true) {
    const name = textIn(property);
    if (MISSING_METHODS.has(name)) throw new SyntaxError(`the method "${name}" is not supported`);
  }
  const [format] = args;
  const isClock = callee.type === 'Identifier' && textIn(callee) === 'strftime_now';
  if (isClock && format?.type === 'StringLiteral') strftime(new Date(0), textIn(format));
}

function counted(value: Value, scope: Scope): Value {
  if (value instanceof Text) scope.work.made(value.value.length);
  return value;
}

/** Compiles the arguments of a call, those after `*` and `**` included. */
export function compileArguments(nodes: readonly Node[]): (scope: Scope) => Arguments {
  const parts = nodes.map((node) => {
    switch (node.type) {
      case 'SpreadExpression':
        return { kind: 'items', value: compileExpression(child(node, 'argument')) } as const;
      case 'KeywordSpreadExpression':
        return { kind: 'entries', value: compileExpression(child(node, 'argument')) } as const;
      case 'KeywordArgumentExpression': {
        const name = textIn(child(node, 'key'));
        return { kind: 'named', name, value: compileExpression(child(node, 'value')) } as const;
      }
      default:
        return { kind: 'single', value: compileExpression(node) } as const;
    }
  });
  return (scope) => {
    const positional: Value[] = [];
    const named = new Map<string, Value>();
    for (const part of parts) {
      const value = part.value(scope);
      if (part.kind === 'single') positional.push(value);
      else if (part.kind === 'items') {
        for (const item of itemsOf(value)) positional.push(item);
      } else if (part.kind === 'named') named.set(part.name, value);
      else if (value instanceof Dict) {
        for (const [name, entry] of value.entries) named.set(name, entry.value);
      } else throw new TypeError(`a ${typeName(value)} after ** is no dict`);
    }
    return { positional, named };
  };
}

/** Compiles a filter, or a test that is written as one. */
export function compileFilter(node: Node): (value: Value, scope: Scope) => Value {
  const isCall = node.type === 'CallExpression';
  const name = textIn(isCall ? child(node, 'callee') : node);
  const nodes = isCall ? children(node, 'args') : [];
  const args = compileArguments(nodes);
  const testName = testOf(name);
  if (testName !== undefined) return compileTest(testName, args);
  if (name === 'safe') {
    throw new SyntaxError('the filter "safe" is only supported at the end of an output');
  }
  const filter = FILTERS.get(name);
  if (filter === undefined) {
    const why = MISSING_FILTERS.has(name) ? 'is not supported' : 'is unknown';
    throw new SyntaxError(`the filter "${name}" ${why}`);
  }
  checkNamedOperation(name, nodes);
  return (value, scope) => {
    scope.work.step();
    return counted(filter(value, args(scope)), scope);
  };
}

/** Checks the filter that `map` names, or the test that a selection names. */
function checkNamedOperation(filter: string, args: readonly Node[]): void {
  const position = ['selectattr', 'rejectattr'].includes(filter) ? 1 : 0;
  const operation = args[position];
  if (operation?.type !== 'StringLiteral') return;
  const name = textIn(operation);
  const isTest = ['select', 'reject', 'selectattr', 'rejectattr'].includes(filter);
  if (isTest && !TESTS.has(name)) throw new SyntaxError(`the test "${name}" is not supported`);
  if (filter === 'map' && !FILTERS.has(name)) {
    throw new SyntaxError(`the filter "${name}" in map is not supported`);
  }
}

function compileTest(
  { name, isNegated }: { readonly name: string; readonly isNegated: boolean },
  args: (scope: Scope) => Arguments,
): (value: Value, scope: Scope) => boolean {
  const holds = TESTS.get(name);
  if (holds === undefined) throw new SyntaxError(`the test "${name}" is not supported`);
  return (value, scope) => holds(value, args(scope).positional[0] ?? null) !== isNegated;
}

function test(node: Node): Expression {
  const operand = compileExpression(child(node, 'operand'));
  const name = textIn(child(node, 'test'));
  const isNegated = node['negate'] === true;
  const holds = compileTest({ name, isNegated }, () => ({ positional: [], named: new Map() }));
  return (scope) => holds(operand(scope), scope);
}

function unary(node: Node): Expression {
  const operator = operatorOf(node);
  const argument = compileExpression(child(node, 'argument'));
  if (operator === 'not') return (scope) => !isTrue(argument(scope));
  if (operator !== '-' && operator !== '+') {
    throw new SyntaxError(`the operator "${operator}" is not supported`);
  }
  return (scope) => {
    const value = argument(scope);
    const number = numberOf(value);
    if (number === undefined) throw new TypeError(`no "${operator}" of a ${typeName(value)}`);
    return operator === '-' ? -number : number;
  };
}

function binary(node: Node): Expression {
  const operator = operatorOf(node);
  const leftNode = child(node, 'left');
  const left = compileExpression(leftNode);
  const right = compileExpression(child(node, 'right'));
  if (operator === 'and' || operator === 'or') {
    return (scope) => {
      const value = left(scope);
      return isTrue(value) === (operator === 'and') ? right(scope) : value;
    };
  }
  const apply = OPERATORS.get(operator);
  if (apply === undefined) throw new SyntaxError(`the operator "${operator}" is not supported`);
  const isChain = leftNode.type === 'BinaryExpression' && COMPARISONS.has(operatorOf(leftNode));
  if (isChain && COMPARISONS.has(operator)) {
    throw new SyntaxError(
      `a comparison of a comparison (… ${operatorOf(leftNode)} … ${operator} …) is not supported; write it with "and"`,
    );
  }
  return (scope) => counted(apply(left(scope), right(scope)), scope);
}

/** Compiles `a if condition else b`; without an else, the other value is undefined. */
function choice(
  node: Node,
  [condition, yes, no]: readonly [string, string, string | undefined],
): Expression {
  const holds = compileExpression(child(node, condition));
  const whenTrue = compileExpression(child(node, yes));
  const whenFalse =
    no === undefined ? () => new Undefined('else') : compileExpression(child(node, no));
  return (scope) => (isTrue(holds(scope)) ? whenTrue(scope) : whenFalse(scope));
}
