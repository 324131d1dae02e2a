import { both, choice, except, type GrammarNode, text } from '../grammar-node.ts';
import { lengthsOf } from '../regex.ts';
import { FORMATS, HINTS } from './format.ts';
import type { SchemaObject } from './keywords.ts';
import { patternsOf } from './merge.ts';
import { exclusionsOf } from './negation.ts';
import type { Patterns } from './patterns.ts';
import type { Reading } from './reading.ts';
import { anyString, matchingText, quoted, stringOfLength, writtenText } from './text.ts';
import { range, refusal } from './values.ts';

/** Most characters that a text is given room for, where a schema bounds them higher. */
const MAX_LENGTH = 512;

interface Lengths {
  readonly min: number;
  readonly max: number;
}

/** Reads the texts of a schema. */
export function stringNode(schema: SchemaObject, place: string, reading: Reading): GrammarNode {
  const lengths = range(schema, ['minLength', 'maxLength'], place);
  if (lengths.min > lengths.max) return choice();
  const forms = formsOf(schema, place, reading.patterns);
  const { values, patterns } = exclusionsOf(schema['not']);
  const names = values.filter((one) => typeof one === 'string');
  if (forms.length === 0 && names.length === 0 && patterns.length === 0) {
    return plainString(lengths, reading);
  }
  const key = JSON.stringify([schema['pattern'], schema['format'], lengths, names, patterns]);
  return reading.shared(`texts ${key}`, () => {
    const [first = bounded(writtenText, lengths), ...others] = forms;
    const all = others.reduce(both, first);
    const { min, max } = lengthsOf(all);
    const fits = forms.length === 0 || (min >= lengths.min && max <= lengths.max);
    const node = fits ? all : both(all, bounded(writtenText, lengths));
    const left = patterns.reduce<GrammarNode>(
      (from, one) => except(from, reading.patterns.searched(one, `${place}.not`)),
      node,
    );
    const written = names.map((one) => text(JSON.stringify(one).slice(1, -1)));
    return quoted(written.length === 0 ? left : except(left, choice(...written)));
  });
}

/** Returns what `pattern` and `format` say, each as what stands between the quotes. */
function formsOf(schema: SchemaObject, place: string, patterns: Patterns): GrammarNode[] {
  const { pattern, format } = schema;
  const nodes = patternsOf(pattern).map((one) => patterns.matching(one, `${place}.pattern`));
  if (format === undefined) return nodes;
  const known = typeof format === 'string' && Object.hasOwn(FORMATS, format);
  if (known) return [...nodes, matchingText(FORMATS[format] ?? '')];
  // Beside a pattern the name of a format says what the pattern is for.
  const isHint = typeof format === 'string' && (HINTS.has(format) || nodes.length > 0);
  if (isHint) return nodes;
  const names = Object.keys(FORMATS).join(', ');
  throw refusal(`${place}.format`, `the format is not enforced; ${names} are`);
}

function plainString(lengths: Lengths, reading: Reading): GrammarNode {
  const { min, max } = lengths;
  if (min === 0 && max === Number.POSITIVE_INFINITY) return anyString;
  return reading.shared(`string ${min} to ${max}`, () => bounded(stringOfLength, lengths));
}

/** Makes texts of a length; shorter ones than allowed where they would take too many states. */
function bounded(
  make: (min: number, max: number) => GrammarNode,
  { min, max }: Lengths,
): GrammarNode {
  const isOpen = max === Number.POSITIVE_INFINITY;
  return make(min, isOpen ? max : Math.max(min, Math.min(max, MAX_LENGTH)));
}
