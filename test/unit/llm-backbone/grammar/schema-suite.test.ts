import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { compileForm } from '#backbone/grammar/compile-form.ts';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { isRecord } from '#mesh/json-value.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { forcedText, grammarOf, takesText } from './forced-text.ts';

const SEED = Number(process.env['SCHEMA_SEED'] ?? 14);
const TEXTS_PER_SCHEMA = 8;

/** A schema of the suite with values that are valid, or not. */
interface Group {
  readonly description: string;
  readonly schema: unknown;
  readonly tests: readonly {
    readonly description: string;
    readonly data: unknown;
    readonly valid: boolean;
  }[];
}

/** JSON Schema's own test suite, draft 4: what it says of JSON without a name of its own. */
const SUITE = join(PACKAGE_ROOT, 'node_modules/json-schema-test-suite/tests/draft4');

/** Schemas that are refused, with the place that the refusal names. */
const REFUSED: Readonly<Record<string, string>> = {
  'definitions: valid definition': '.$ref',
  'definitions: invalid definition': '.$ref',
  'ref: escaped pointer ref': '.tilda~field',
  'ref: remote ref, containing refs itself': '.$ref',
  'refRemote: remote ref': '.$ref',
  'refRemote: fragment within remote ref': '.$ref',
  'refRemote: ref within remote ref': '.$ref',
  'refRemote: change resolution scope': '.items.$id',
  'uniqueItems: uniqueItems validation': '.uniqueItems',
};

/** Values that are valid and yet not made, by what the protocol says of forms. */
const NOT_MADE: Readonly<Record<string, readonly string[]>> = {
  'members or items beside those that are named': [
    'additionalItems: only the first item is validated',
    'additionalProperties: additional properties are allowed',
    'allOf with base schema: valid',
    'dependencies: nondependant',
    'dependencies: nondependants',
    'dependencies: no dependency',
    'not: property absent',
    'patternProperties: non recognized members are ignored',
    'patternProperties: regexes are case sensitive',
    "properties: doesn't invalidate other properties",
  ],
  'members in another order than the schema': [
    'allOf: allOf',
    'dependencies: with dependency',
    'dependencies: with dependencies',
  ],
  'a text that the pattern does not match as a whole': ['pattern: matches a substring'],
  'other types than those that the keywords are about': [
    'oneOf: second oneOf valid',
    'root pointer ref: match',
    'root pointer ref: recursive match',
  ],
  'numbers with more digits than a double keeps': [
    'bignum: a bignum is an integer',
    'bignum: a negative bignum is an integer',
    'bignum: comparison works for high numbers',
    'bignum: comparison works for very negative numbers',
  ],
  'URIs and addresses in short': [
    'format: a valid URI',
    'format: a valid protocol-relative URI',
    'format: a valid IPv6 address',
  ],
};
const EXCUSED = new Set(Object.values(NOT_MADE).flat());

const formOf = (schema: unknown): LimitingForm => ({
  $case: 'jsonSchema',
  value: JSON.stringify(schema),
});

/** Writes the flags of draft 4 as the bounds of later drafts. */
function ofLaterDraft(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(ofLaterDraft);
  if (!isRecord(schema)) return schema;
  const { $schema: _, ...others } = schema;
  const later = Object.fromEntries(
    Object.entries(others).map(([key, value]) => [key, ofLaterDraft(value)]),
  );
  for (const [flag, beside] of [
    ['exclusiveMinimum', 'minimum'],
    ['exclusiveMaximum', 'maximum'],
  ] as const) {
    if (later[flag] === true) later[flag] = later[beside];
  }
  return later;
}

const files = readdirSync(SUITE, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.json'))
  // A number without its fraction is an integer since draft 6.
  .filter((path) => basename(path) !== 'zeroTerminatedFloats.json')
  .sort();

describe(`JSON Schema's test suite (SCHEMA_SEED=${SEED})`, () => {
  it('has the files that it should', () => {
    assert.equal(files.length, 30);
  });

  for (const file of files) {
    const name = basename(file, '.json');
    const groups: readonly Group[] = JSON.parse(readFileSync(join(SUITE, file), 'utf8'));
    for (const group of groups) {
      it(`${name}: ${group.description}`, () => checkGroup(name, group));
    }
  }
});

async function checkGroup(name: string, { description, schema, tests }: Group): Promise<void> {
  const form = formOf(schema);
  const place = REFUSED[`${name}: ${description}`];
  if (place !== undefined) {
    const answer = compileForm(form);
    assert(answer.kind === 'refusal', 'it is compiled');
    assert.equal(answer.param, `structured_output.json_schema${place}`);
    return;
  }
  const grammar = await grammarOf(form);
  const ajv = new Ajv({ strict: false });
  addFormats.default(ajv);
  const isValid = ajv.compile(ofLaterDraft(schema) as object);
  const random = seededRandom(SEED);
  for (let i = 0; i < TEXTS_PER_SCHEMA; i++) {
    const text = forcedText(grammar, random);
    assert(isValid(JSON.parse(text)), text);
  }
  for (const { description: what, data, valid } of tests) {
    const isTaken = takesText(grammar, JSON.stringify(data));
    const isExcused =
      [name, description].some((one) => EXCUSED.has(`${one}: ${what}`)) ||
      what.startsWith('ignores non-');
    if (valid && isExcused) assert(!isTaken, `${what} is made after all`);
    else assert.equal(isTaken, valid, `${what}: ${JSON.stringify(data)}`);
  }
}
