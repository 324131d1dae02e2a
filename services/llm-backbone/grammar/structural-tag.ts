import { isRecord } from '#mesh/json-value.ts';
import { gbnfRules } from './gbnf.ts';
import {
  choice,
  type GrammarNode,
  type GrammarRules,
  optional,
  repeat,
  rule,
  sequence,
  text,
} from './grammar-node.ts';
import { formRefusal } from './grammar-refusal.ts';
import { Patterns } from './json/patterns.ts';
import { SchemaReader } from './json/schema-reader.ts';
import { RegexFault, regexNode } from './regex.ts';

const MAX_DEPTH = 32;
const MAX_TAGS = 1024;

type Fields = Readonly<Record<string, unknown>>;

/** A text that begins, has a form, and ends. */
interface Tag {
  readonly begin: string;
  readonly content: GrammarNode;
  readonly ends: readonly string[];
}

/**
 * Reads a structural tag: XGrammar's `format`, or the older `structures` and `triggers`, in which any
 * text may stand between the tags.
 */
export function structuralTagRules(source: string): GrammarRules {
  let parsed: unknown;
  try {
    parsed = JSON.parse(source);
  } catch {
    throw refusal('', 'is not JSON');
  }
  if (!isRecord(parsed)) throw refusal('', 'must be an object');
  const reader = new TagReader();
  const { format } = parsed;
  const root =
    format === undefined && parsed['structures'] !== undefined
      ? reader.readStructures(parsed)
      : reader.readFormat(format ?? parsed, format === undefined ? '' : '.format');
  return { root, rules: reader.rules };
}

function refusal(place: string, message: string) {
  return formRefusal('structural_tag', place, message);
}

class TagReader {
  readonly rules = new Map<string, GrammarNode>();
  readonly #patterns = new Patterns();
  #depth = 0;
  #numSchemas = 0;

  readFormat(format: unknown, place: string): GrammarNode {
    if (!isRecord(format)) throw refusal(place, 'must be an object with a type');
    if (++this.#depth > MAX_DEPTH) throw refusal(place, `more than ${MAX_DEPTH} formats deep`);
    const node = this.#readType(format, place);
    this.#depth--;
    return node;
  }

  readStructures({ structures, triggers }: Fields): GrammarNode {
    const tags = listAt(structures, '.structures').map((one, i): Tag => {
      const place = `.structures[${i}]`;
      if (!isRecord(one)) throw refusal(place, 'must be an object with begin, schema and end');
      return {
        begin: textAt(one['begin'], `${place}.begin`),
        content: this.#readSchema(one['schema'] ?? {}, `${place}.schema`),
        ends: [textAt(one['end'] ?? '', `${place}.end`)],
      };
    });
    return triggered(tags, textsAt(triggers, '.triggers'), { needsOne: false, isOne: false });
  }

  #readType(format: Fields, place: string): GrammarNode {
    const { type } = format;
    switch (type) {
      case 'const_string':
        return text(textAt(format['value'], `${place}.value`));
      case 'any_text':
        return freeText([]);
      case 'json_schema':
        return this.#readSchema(format['json_schema'], `${place}.json_schema`);
      case 'regex':
        return this.#readRegex(format['pattern'], `${place}.pattern`);
      case 'grammar':
        return this.#readGrammar(format['grammar'], `${place}.grammar`);
      case 'sequence':
        return sequence(...this.#readAll(format['elements'], `${place}.elements`));
      case 'or':
        return choice(...this.#readAll(format['elements'], `${place}.elements`));
      case 'tag':
        return tagNode(this.#readTag(format, place));
      case 'triggered_tags':
        return this.#readTriggered(format, place);
      case 'tags_with_separator':
        return this.#readSeparated(format, place);
      default:
        throw refusal(
          `${place}.type`,
          'must be one of const_string, any_text, json_schema, regex, grammar, sequence, or, tag, triggered_tags, tags_with_separator',
        );
    }
  }

  #readAll(elements: unknown, place: string): GrammarNode[] {
    return listAt(elements, place).map((one, i) => this.readFormat(one, `${place}[${i}]`));
  }

  #readTag(format: unknown, place: string): Tag {
    if (!isRecord(format))
      throw refusal(place, 'must be a tag: an object with begin, content, end');
    const { end, content } = format;
    const ends = Array.isArray(end) ? textsAt(end, `${place}.end`) : [textAt(end, `${place}.end`)];
    // Free text ends where its tag does.
    const isFree = isRecord(content) && content['type'] === 'any_text';
    return {
      begin: textAt(format['begin'], `${place}.begin`),
      content: isFree
        ? freeText(ends.filter((one) => one !== ''))
        : this.readFormat(content, `${place}.content`),
      ends,
    };
  }

  #readTags(tags: unknown, place: string): Tag[] {
    return listAt(tags, place).map((one, i) => this.#readTag(one, `${place}[${i}]`));
  }

  #readTriggered(format: Fields, place: string): GrammarNode {
    const tags = this.#readTags(format['tags'], `${place}.tags`);
    const triggers = textsAt(format['triggers'], `${place}.triggers`);
    const stray = tags.findIndex(({ begin }) => !triggers.some((one) => begin.startsWith(one)));
    if (stray !== -1) throw refusal(`${place}.tags[${stray}].begin`, 'begins with no trigger');
    return triggered(tags, triggers, {
      needsOne: format['at_least_one'] === true,
      isOne: format['stop_after_first'] === true,
    });
  }

  #readSeparated(format: Fields, place: string): GrammarNode {
    const tags = this.#readTags(format['tags'], `${place}.tags`);
    const separator = textAt(format['separator'], `${place}.separator`);
    const one = this.#shared(choice(...tags.map(tagNode)));
    const isOne = format['stop_after_first'] === true;
    const all = isOne ? one : sequence(one, repeat(sequence(text(separator), one), 0));
    return format['at_least_one'] === true ? all : optional(all);
  }

  /** Makes a rule of a node that stands in two places. */
  #shared(node: GrammarNode): GrammarNode {
    const name = `tags ${this.rules.size}`;
    this.rules.set(name, node);
    return rule(name);
  }

  #readSchema(schema: unknown, place: string): GrammarNode {
    const name = `schema ${this.#numSchemas++}`;
    const reader = new SchemaReader(schema, { prefix: `${name} `, patterns: this.#patterns });
    const { root, rules } = within(place, 'json_schema', () => reader.read());
    for (const [one, node] of rules) this.rules.set(one, node);
    this.rules.set(name, root);
    return rule(name);
  }

  #readGrammar(grammar: unknown, place: string): GrammarNode {
    const source = textAt(grammar, place);
    const { rules } = within(place, 'grammar', () => gbnfRules(source));
    const prefix = `grammar ${this.rules.size} `;
    for (const [name, node] of rules) this.rules.set(prefix + name, renamed(node, prefix));
    return rule(`${prefix}root`);
  }

  #readRegex(pattern: unknown, place: string): GrammarNode {
    try {
      return regexNode(textAt(pattern, place));
    } catch (error: unknown) {
      if (!(error instanceof RegexFault)) throw error;
      throw refusal(place, error.message);
    }
  }
}

/** Reads a part; a refusal of it has the place that it has in the whole. */
function within<T>(place: string, form: string, read: () => T): T {
  try {
    return read();
  } catch (error: unknown) {
    const own = `structured_output.${form}`;
    if (!(error instanceof Error) || !error.message.startsWith(own)) throw error;
    const [path = '', ...message] = error.message.slice(own.length).split(': ');
    throw refusal(place + path, message.join(': '));
  }
}

function renamed(node: GrammarNode, prefix: string): GrammarNode {
  switch (node.kind) {
    case 'rule':
      return rule(prefix + node.name);
    case 'sequence':
    case 'choice':
      return { ...node, nodes: node.nodes.map((one) => renamed(one, prefix)) };
    case 'repeat':
      return { ...node, node: renamed(node.node, prefix) };
    default:
      return node;
  }
}

function tagNode({ begin, content, ends }: Tag): GrammarNode {
  return sequence(text(begin), content, choice(...ends.map(text)));
}

function freeText(stops: readonly string[]): GrammarNode {
  return { kind: 'without', texts: stops };
}

/** Makes free text with tags, each of which begins where a trigger stands. */
function triggered(
  tags: readonly Tag[],
  triggers: readonly string[],
  { needsOne, isOne }: { readonly needsOne: boolean; readonly isOne: boolean },
): GrammarNode {
  const free = freeText(triggers);
  const one = sequence(free, choice(...tags.map(tagNode)));
  if (isOne) return needsOne ? one : choice(free, one);
  const all = repeat(one, needsOne ? 1 : 0);
  return sequence(all, free);
}

function textAt(value: unknown, place: string): string {
  if (typeof value === 'string') return value;
  throw refusal(place, 'must be a text');
}

function textsAt(value: unknown, place: string): string[] {
  const texts = listAt(value, place).map((one, i) => textAt(one, `${place}[${i}]`));
  if (texts.every((one) => one !== '')) return texts;
  throw refusal(place, 'must be texts that are not empty');
}

function listAt(value: unknown, place: string): unknown[] {
  if (Array.isArray(value) && value.length > 0 && value.length <= MAX_TAGS) return value;
  throw refusal(place, `must be a list of 1 to ${MAX_TAGS}`);
}
