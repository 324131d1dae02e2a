import { choice, type GrammarNode, rule, sequence, text } from '../grammar-node.ts';
import type { SchemaObject } from './keywords.ts';
import { exclusionsOf } from './negation.ts';
import type { Reading } from './reading.ts';
import { following, listFrom, listText, literal } from './text.ts';
import { canonicalJson, count, range, refusal, valuesOf } from './values.ts';

/** Most values of which a list may have each once, in any order; more come in their order. */
const MAX_UNORDERED = 8;
/** Most values of which a list may have each once. */
const MAX_UNIQUE = 256;
/** Most pairs of a number of items and a number of those that are asked for, where both count. */
const MAX_COUNTED = 4096;

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** What is read together: a schema, its place, and who reads it. */
interface Read {
  readonly schema: SchemaObject;
  readonly place: string;
  readonly reading: Reading;
}

/** Reads the lists of a schema. */
export function arrayNode(schema: SchemaObject, place: string, reading: Reading): GrammarNode {
  const read = { schema, place, reading };
  const bounds = boundsOf(read);
  if (schema['contains'] !== undefined) return containing(read, bounds);
  if (schema['uniqueItems'] === true && bounds.max > 1) return unique(read, bounds);
  const { first, rest } = itemsOf(read, bounds);
  if (bounds.min > bounds.max || (rest === null && bounds.min > first.length)) return choice();
  return listFrom(first, rest, bounds);
}

function boundsOf({ schema, place }: Read): Bounds {
  const { min, max } = range(schema, ['minItems', 'maxItems'], place);
  const excluded = exclusionsOf(schema['not']).values.filter((one) => Array.isArray(one));
  if (excluded.some(({ length }) => length > 0)) {
    throw refusal(`${place}.not`, 'no list but the empty one can be excluded');
  }
  return { min: excluded.length > 0 ? Math.max(1, min) : min, max };
}

/** Reads the items that have forms of their own, and what may follow them; null: nothing. */
function itemsOf(
  { schema, place, reading }: Read,
  { min }: Bounds,
): { readonly first: readonly GrammarNode[]; readonly rest: GrammarNode | null } {
  const { items, prefixItems = [], additionalItems, unevaluatedItems } = schema;
  // Before draft 2020-12 a list of `items` was what `prefixItems` is.
  const isOld = Array.isArray(items);
  const [first, keyword] = isOld ? [items, 'items'] : [prefixItems, 'prefixItems'];
  if (!Array.isArray(first)) throw refusal(`${place}.prefixItems`, 'must be a list of schemas');
  const [rest, restName] = isOld
    ? [additionalItems ?? unevaluatedItems, 'additionalItems']
    : [items ?? unevaluatedItems, 'items'];
  const nodes = first.map((one, i) => reading.node(one, `${place}.${keyword}[${i}]`));
  // Items beside those that are named are made only where the schema speaks of them, or needs them.
  const isClosed =
    rest === false || (rest === undefined && first.length > 0 && min <= first.length);
  if (isClosed) return { first: nodes, rest: null };
  const node = reading.node(rest ?? true, `${place}.${restName}`);
  return { first: nodes, rest: reading.define(reading.newName('items'), node) };
}

/** Reads lists of which some items are asked for. */
function containing(read: Read, { min, max }: Bounds): GrammarNode {
  const { schema, place, reading } = read;
  const { contains, items } = schema;
  for (const keyword of ['prefixItems', 'uniqueItems', 'additionalItems', 'unevaluatedItems']) {
    if (schema[keyword] === undefined || schema[keyword] === false) continue;
    throw refusal(`${place}.${keyword}`, 'is not supported beside contains');
  }
  if (Array.isArray(items)) throw refusal(`${place}.items`, 'must be one schema beside contains');
  const least = count(schema, 'minContains', place) ?? 1;
  const most = count(schema, 'maxContains', place);
  const [item, asked] = [items ?? true, allOf([items ?? true, contains])];
  const other = most === undefined ? item : allOf([item, { not: contains }]);
  const nodes = {
    asked: reading.define(reading.newName('items'), reading.node(asked, `${place}.contains`)),
    other: reading.define(reading.newName('items'), reading.node(other, `${place}.items`)),
  };
  return countedItems(nodes, { min, max, least, most: most ?? Number.POSITIVE_INFINITY }, read);
}

function allOf(schemas: readonly unknown[]): unknown {
  const limits = schemas.filter((one) => one !== true);
  return limits.length === 1 ? limits[0] : { allOf: limits };
}

/** Makes lists with bounds of their items and of those of them that are asked for. */
function countedItems(
  { asked, other }: { readonly asked: GrammarNode; readonly other: GrammarNode },
  { min, max, least, most }: Bounds & { readonly least: number; readonly most: number },
  { place, reading }: Read,
): GrammarNode {
  // From these numbers on it makes no difference how many there are.
  const lastItem = Number.isFinite(max) ? max : Math.max(1, min);
  const lastAsked = Number.isFinite(most) ? most : Math.max(1, least);
  if ((lastItem + 1) * (lastAsked + 1) > MAX_COUNTED) {
    throw refusal(`${place}.contains`, 'the list has too many items to be counted');
  }
  return listOfStates([0, 0], reading, ([items = 0, found = 0]) => {
    const numItems = Math.min(items + 1, lastItem);
    const isFull = items >= max;
    return {
      isEnd: items >= min && found >= least,
      ways: [
        ...(isFull ? [] : [{ item: other, to: [numItems, found] }]),
        ...(isFull || found >= most
          ? []
          : [{ item: asked, to: [numItems, Math.min(found + 1, lastAsked)] }]),
      ],
    };
  });
}

/** Reads lists that have each of some values once. */
function unique(read: Read, { min, max }: Bounds): GrammarNode {
  const { schema, place, reading } = read;
  const { items, prefixItems } = schema;
  const values = prefixItems === undefined ? listedValues(items, read) : undefined;
  if (values === undefined || values.length > MAX_UNIQUE) {
    const message = `is only supported for items that are one of at most ${MAX_UNIQUE} values`;
    throw refusal(`${place}.uniqueItems`, message);
  }
  const nodes = values.map(literal);
  const [least, most] = [min, Math.min(max, values.length)];
  if (values.length > MAX_UNORDERED) {
    // In the order of the values: the state is the next of them, and how many there are.
    return listOfStates([0, 0], reading, ([next = 0, numItems = 0]) => ({
      isEnd: numItems >= least,
      ways:
        numItems >= most
          ? []
          : nodes.slice(next).map((item, i) => ({ item, to: [next + i + 1, numItems + 1] })),
    }));
  }
  return listOfStates([0], reading, ([taken = 0]) => {
    const numItems = nodes.filter((_, i) => (taken >> i) & 1).length;
    const left = numItems >= most ? [] : [...nodes.entries()].filter(([i]) => !((taken >> i) & 1));
    return {
      isEnd: numItems >= least,
      ways: left.map(([i, item]) => ({ item, to: [taken | (1 << i)] })),
    };
  });
}

/** Returns the values that items may be, if they are listed. */
function listedValues(items: unknown, { place, reading }: Read): readonly unknown[] | undefined {
  const schema = reading.resolved(items ?? true, `${place}.items`);
  if (typeof schema === 'boolean') return undefined;
  const ofTypes = schema['type'] === 'boolean' ? [true, false] : undefined;
  const values = valuesOf(schema) ?? ofTypes;
  const distinct = new Map(values?.map((one) => [canonicalJson(one), one]));
  return values === undefined
    ? undefined
    : [...distinct.values()].filter((one) =>
        reading.evaluation.holds(one, schema, `${place}.items`),
      );
}

/** A place in a list: numbers that say what may follow. */
type ListState = readonly number[];

interface ListPlace {
  readonly isEnd: boolean;
  readonly ways: readonly { readonly item: GrammarNode; readonly to: ListState }[];
}

/** Makes lists of a graph of states; nothing leads back to the start. */
function listOfStates(
  start: ListState,
  reading: Reading,
  describe: (state: ListState) => ListPlace,
): GrammarNode {
  const names = new Map<string, string>();
  const pending: { readonly state: ListState; readonly name: string }[] = [];
  const after = (state: ListState): GrammarNode => {
    const key = state.join(' ');
    const name = names.get(key) ?? reading.newName('list');
    if (!names.has(key)) pending.push({ state, name });
    names.set(key, name);
    return rule(name);
  };
  const nodeOf = (state: ListState): GrammarNode => {
    const { isEnd, ways } = describe(state);
    const nodes = ways.map(({ item, to }) =>
      sequence(state === start ? item : following(item), after(to)),
    );
    return choice(...(isEnd ? [text('')] : []), ...nodes);
  };
  const first = nodeOf(start);
  for (const { state, name } of pending) reading.define(name, nodeOf(state));
  return listText(first);
}
