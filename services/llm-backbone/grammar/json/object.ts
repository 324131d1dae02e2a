import {
  both,
  choice,
  except,
  type GrammarNode,
  optional,
  repeat,
  sequence,
  text,
} from '../grammar-node.ts';
import type { SchemaObject } from './keywords.ts';
import { setOwn } from './merge.ts';
import { exclusionsOf } from './negation.ts';
import type { Reading } from './reading.ts';
import { following, literal, member, objectText, preceding, quoted, writtenText } from './text.ts';
import { namesAt, range, refusal } from './values.ts';

/** Most patterns of names: names are told apart by each set of them that they may have. */
const MAX_PATTERNS = 5;
/** Most pairs of a member and a number of members in front of it, where members are counted. */
const MAX_COUNTED = 4096;

/** A member that is named. */
interface Member {
  readonly node: GrammarNode;
  readonly isRequired: boolean;
}

/** The members of an object, in their order; those that are not named come last. */
interface Members {
  readonly named: readonly Member[];
  /** null: there are no others. */
  readonly more: GrammarNode | null;
}

/** Reads the objects of a schema. */
export function objectNode(schema: SchemaObject, place: string, reading: Reading): GrammarNode {
  const excluded = exclusionsOf(schema['not']).values.filter(isObject);
  if (excluded.some((one) => Object.keys(one).length > 0)) {
    throw refusal(`${place}.not`, 'no object but the empty one can be excluded');
  }
  const { min, max } = range(schema, ['minProperties', 'maxProperties'], place);
  const bounds = { min: excluded.length > 0 ? Math.max(1, min) : min, max };
  const members = new MemberReader(schema, place, reading).read();
  if (members === null) return choice();
  const numRequired = members.named.filter(({ isRequired }) => isRequired).length;
  const mostMembers = members.more === null ? members.named.length : Number.POSITIVE_INFINITY;
  const node =
    bounds.min > numRequired || bounds.max < mostMembers
      ? countedMembers(members, bounds, { place, reading })
      : allMembers(members, reading);
  return objectText(node);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

class MemberReader {
  readonly #schema: SchemaObject;
  readonly #place: string;
  readonly #reading: Reading;
  readonly #patterns: SchemaObject;

  constructor(schema: SchemaObject, place: string, reading: Reading) {
    this.#schema = schema;
    this.#place = place;
    this.#reading = reading;
    this.#patterns = namesAt(schema, 'patternProperties', place);
    if (Object.keys(this.#patterns).length > MAX_PATTERNS) {
      throw refusal(`${place}.patternProperties`, `at most ${MAX_PATTERNS} patterns are supported`);
    }
  }

  /** Returns null where a member is required that cannot be. */
  read(): Members | null {
    const required = this.#required();
    const schemas = this.#named(required);
    const named: Member[] = [];
    for (const [name, one] of Object.entries(schemas)) {
      const isRequired = required.has(name);
      if (this.#isName(name)) {
        const value = this.#reading.node(this.#withPatterns(name, one), this.#placeOf(name));
        named.push({ node: member(literal(name), value), isRequired });
      } else if (isRequired) {
        return null;
      }
    }
    return { named, more: this.#more(Object.keys(schemas)) };
  }

  #required(): ReadonlySet<string> {
    const { required = [] } = this.#schema;
    // Draft 3 has a flag in each property.
    if (!Array.isArray(required))
      throw refusal(`${this.#place}.required`, 'must be a list of names');
    return new Set(required.filter((name) => typeof name === 'string'));
  }

  /** Returns the schemas of the members that `properties` and `required` name. */
  #named(required: ReadonlySet<string>): SchemaObject {
    const named: Record<string, unknown> = {};
    for (const [name, one] of Object.entries(namesAt(this.#schema, 'properties', this.#place))) {
      setOwn(named, name, one);
    }
    for (const name of required) {
      if (Object.hasOwn(named, name)) continue;
      setOwn(named, name, this.#patternsOf(name).length > 0 ? true : (this.#others() ?? true));
    }
    return named;
  }

  #others(): unknown {
    return this.#schema['additionalProperties'] ?? this.#schema['unevaluatedProperties'];
  }

  #placeOf(name: string): string {
    return `${this.#place}.properties.${name}`;
  }

  #patternsOf(name: string): string[] {
    const at = `${this.#place}.patternProperties`;
    return Object.keys(this.#patterns).filter((one) =>
      this.#reading.patterns.isIn(name, one, `${at}.${one}`),
    );
  }

  #withPatterns(name: string, schema: unknown): unknown {
    const patterns = this.#patternsOf(name);
    if (patterns.length === 0) return schema;
    return { allOf: [schema, ...patterns.map((one) => this.#patterns[one])] };
  }

  /** Tells whether `propertyNames` allows a name. */
  #isName(name: string): boolean {
    const { propertyNames } = this.#schema;
    const at = `${this.#place}.propertyNames`;
    return propertyNames === undefined || this.#reading.evaluation.holds(name, propertyNames, at);
  }

  /** Makes the members that are not named, of each set of patterns and of none. */
  #more(names: readonly string[]): GrammarNode | null {
    const patterns = Object.keys(this.#patterns);
    const isKept = patterns.length > 0 || this.#schema['properties'] !== undefined;
    // An object without properties of its own holds any, as in JSON Schema.
    const others = this.#others() ?? !(isKept || names.length > 0);
    const kinds: GrammarNode[] = [];
    for (let set = 0; set < 1 << patterns.length; set++) {
      const has = patterns.filter((_, i) => (set >> i) & 1);
      const schema = set === 0 ? others : allOf(has.map((one) => this.#patterns[one]));
      if (schema === false) continue;
      const where = set === 0 ? 'additionalProperties' : `patternProperties.${has[0]}`;
      const keys = this.#keys(names, has);
      if (keys === null) continue;
      kinds.push(member(keys, this.#reading.node(schema, `${this.#place}.${where}`)));
    }
    return kinds.length === 0 ? null : choice(...kinds);
  }

  /**
   * Makes the names in which some of the patterns are found and no others, those given left out;
   * returns null if there are none.
   */
  #keys(names: readonly string[], has: readonly string[]): GrammarNode | null {
    const { propertyNames } = this.#schema;
    const at = `${this.#place}.patternProperties`;
    let written = writtenText();
    for (const one of Object.keys(this.#patterns)) {
      const node = this.#reading.patterns.searched(one, `${at}.${one}`);
      written = has.includes(one) ? both(written, node) : except(written, node);
    }
    if (names.length > 0) {
      const taken = names.map((name) => text(JSON.stringify(name).slice(1, -1)));
      written = except(written, choice(...taken));
    }
    let keys = quoted(written);
    if (propertyNames !== undefined) {
      keys = both(keys, this.#reading.texts(propertyNames, `${this.#place}.propertyNames`));
    }
    return this.#reading.patterns.texts(keys);
  }
}

function allOf(schemas: readonly unknown[]): unknown {
  return schemas.length === 1 ? schemas[0] : { allOf: schemas };
}

/** Makes the members of an object in their order, separated by commas. */
function allMembers({ named, more }: Members, reading: Reading): GrammarNode {
  const tail = more === null ? text('') : repeat(following(more), 0);
  const firstRequired = named.findIndex(({ isRequired }) => isRequired);
  if (firstRequired !== -1) {
    // Members in front of one that always comes bring their comma behind them, others before.
    const nodes = named.map(({ node, isRequired }, i) => {
      if (i < firstRequired) return optional(preceding(node));
      if (i === firstRequired) return node;
      return isRequired ? following(node) : optional(following(node));
    });
    return sequence(...nodes, tail);
  }
  // Whichever comes first has no comma; what may follow each of them is a rule of its own.
  let rest = tail;
  const starts: GrammarNode[] = more === null ? [] : [sequence(more, tail)];
  for (const { node } of [...named].reverse()) {
    const after = reading.define(reading.newName('members'), rest);
    starts.push(sequence(node, after));
    rest = sequence(optional(following(node)), after);
  }
  return optional(choice(...starts.reverse()));
}

/**
 * Makes the members of an object with bounds of their number. A name that is not given may be written
 * twice, so that only one such member counts for the least number.
 */
function countedMembers(
  { named, more }: Members,
  { min, max }: { readonly min: number; readonly max: number },
  { place, reading }: { readonly place: string; readonly reading: Reading },
): GrammarNode {
  if (more !== null && min > named.length + 1) {
    throw refusal(
      `${place}.minProperties`,
      'is only supported up to one more than the number of named properties',
    );
  }
  // From this number on it makes no difference how many there are.
  const most = Math.min(named.length, max === Number.POSITIVE_INFINITY ? Math.max(min, 1) : max);
  if (named.length * (most + 1) > MAX_COUNTED) {
    throw refusal(`${place}.minProperties`, 'the object has too many properties to be counted');
  }
  const shared = (node: GrammarNode) => reading.define(reading.newName('member'), node);
  const nodes = named.map(({ node }) => shared(node));
  const other = more === null ? null : shared(more);
  const next = (one: GrammarNode, numBefore: number) => (numBefore === 0 ? one : following(one));
  const end = (numBefore: number): GrammarNode => {
    const isEnough = numBefore >= min;
    const left = max - numBefore;
    if (other === null || left <= 0 || numBefore + 1 < min) return isEnough ? text('') : choice();
    const all = sequence(next(other, numBefore), repeat(following(other), 0, left - 1));
    return isEnough ? optional(all) : all;
  };
  // By the number of members in front, from the last place to the first.
  let rest = Array.from({ length: most + 1 }, (_, numBefore) => end(numBefore));
  for (let i = named.length - 1; i >= 0; i--) {
    const one = nodes[i] ?? text('');
    const after = rest.map((node) => reading.define(reading.newName('members'), node));
    rest = after.map((without, numBefore) => {
      const numWith =
        max === Number.POSITIVE_INFINITY ? Math.min(numBefore + 1, most) : numBefore + 1;
      const then = after[numWith];
      const ways = [
        ...(named[i]?.isRequired ? [] : [without]),
        ...(then === undefined || numBefore >= max ? [] : [sequence(next(one, numBefore), then)]),
      ];
      return choice(...ways);
    });
  }
  return rest[0] ?? choice();
}
