import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { seededRandom } from '#test/seeded-random.ts';
import { forcedText, grammarOf, refusalOfForm, takesText } from './forced-text.ts';
import { randomSchema } from './random-schema.ts';

const SEED = Number(process.env['SCHEMA_SEED'] ?? 14);
const NUM_SCHEMAS = 500;
const TEXTS_PER_SCHEMA = 4;

const formOf = (schema: unknown) =>
  ({ $case: 'jsonSchema', value: JSON.stringify(schema) }) as const;

function checkerOf(schema: unknown) {
  const ajv = new Ajv2020({ strict: false, logger: false });
  addFormats.default(ajv);
  return ajv.compile(schema as object);
}

/** Forces random texts of a schema and has a validator judge them. */
async function checkTexts(schema: unknown, random: () => number): Promise<void> {
  const grammar = await grammarOf(formOf(schema));
  const isValid = checkerOf(schema);
  for (let i = 0; i < TEXTS_PER_SCHEMA; i++) {
    const text = forcedText(grammar, random);
    const why = () => `${JSON.stringify(isValid.errors)}: ${text} of ${JSON.stringify(schema)}`;
    assert(isValid(JSON.parse(text)), isValid.errors ? why() : '');
  }
}

describe(`${NUM_SCHEMAS} random schemas (SCHEMA_SEED=${SEED})`, () => {
  it('allow nothing but what a validator takes', async () => {
    const random = seededRandom(SEED);
    for (let i = 0; i < NUM_SCHEMAS; i++) await checkTexts(randomSchema(random), random);
  });
});

const TREE = {
  type: 'object',
  properties: { value: { type: 'integer' }, kids: { type: 'array', items: { $ref: '#' } } },
  required: ['value'],
};

/** As pydantic writes a model with a nested one, optional members, a Decimal, a set and unions. */
const PYDANTIC = {
  $defs: {
    Side: { enum: ['left', 'right'], title: 'Side', type: 'string' },
    Tap: {
      additionalProperties: false,
      properties: {
        kind: { const: 'tap', default: 'tap', title: 'Kind', type: 'string' },
        x: { exclusiveMaximum: 1000, minimum: 0, title: 'X', type: 'integer' },
        side: { anyOf: [{ $ref: '#/$defs/Side' }, { type: 'null' }], default: null },
      },
      required: ['x'],
      title: 'Tap',
      type: 'object',
    },
    Wait: {
      properties: {
        kind: { const: 'wait', title: 'Kind', type: 'string' },
        seconds: {
          anyOf: [
            { type: 'number' },
            { pattern: '^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$', type: 'string' },
          ],
          title: 'Seconds',
        },
      },
      required: ['kind', 'seconds'],
      title: 'Wait',
      type: 'object',
    },
  },
  properties: {
    id: { format: 'uuid4', title: 'Id', type: 'string' },
    at: { description: 'when', format: 'date-time', title: 'At', type: 'string' },
    path: { format: 'path', title: 'Path', type: 'string' },
    sides: { items: { $ref: '#/$defs/Side' }, title: 'Sides', type: 'array', uniqueItems: true },
    point: {
      maxItems: 2,
      minItems: 2,
      prefixItems: [{ type: 'integer' }, { type: 'number' }],
      title: 'Point',
      type: 'array',
    },
    counts: { additionalProperties: { type: 'integer' }, title: 'Counts', type: 'object' },
    steps: {
      items: {
        discriminator: {
          mapping: { tap: '#/$defs/Tap', wait: '#/$defs/Wait' },
          propertyName: 'kind',
        },
        oneOf: [{ $ref: '#/$defs/Wait' }, { $ref: '#/$defs/Tap' }],
      },
      maxItems: 3,
      title: 'Steps',
      type: 'array',
    },
  },
  required: ['id', 'at', 'path', 'sides', 'point', 'steps'],
  title: 'Plan',
  type: 'object',
};

const SCHEMAS: Readonly<Record<string, unknown>> = {
  'a pydantic model': PYDANTIC,
  'any value': true,
  'any object': { type: 'object' },
  'a tree': TREE,
  definitions: {
    $defs: { name: { type: 'string', maxLength: 5 }, 'a/b~c': { $ref: '#/$defs/name' } },
    type: 'object',
    properties: { one: { $ref: '#/$defs/name' }, other: { $ref: '#/$defs/a~1b~0c' } },
    required: ['one', 'other'],
  },
  'a reference beside keywords': {
    definitions: { base: { type: 'object', properties: { a: { type: 'null' } }, required: ['a'] } },
    $ref: '#/definitions/base',
    properties: { b: { type: 'boolean' } },
    required: ['b'],
  },
  'keywords without a type': { minLength: 2, minimum: 3 },
  'a number between two others': { type: 'number', exclusiveMinimum: 0.25, maximum: 0.375 },
  'a small negative number': { type: 'number', minimum: -0.5, exclusiveMaximum: 0 },
  'other members than named ones': {
    type: 'object',
    properties: { abc: { type: 'integer' } },
    additionalProperties: { type: 'string', maxLength: 3 },
  },
  'a required name that has no property': { type: 'object', required: ['x'] },
  'draft 4 bounds': { type: 'integer', minimum: 3, exclusiveMinimum: true, maximum: 5 },
};

describe('a schema', () => {
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    it(`of ${name} allows nothing but what a validator takes`, async () => {
      // The validator knows the flags of draft 4 as bounds.
      const shown =
        name === 'draft 4 bounds' ? { type: 'integer', minimum: 4, maximum: 5 } : schema;
      const grammar = await grammarOf(formOf(schema));
      const random = seededRandom(SEED);
      const isValid = checkerOf(shown);
      for (let i = 0; i < 50; i++) {
        const text = forcedText(grammar, random);
        assert(isValid(JSON.parse(text)), text);
      }
    });
  }

  it('takes the JSON that programs write', async () => {
    const grammar = await grammarOf(formOf(TREE));
    const value = { value: 12, kids: [{ value: -3 }, { value: 0, kids: [] }] };

    assert(takesText(grammar, JSON.stringify(value)));
    assert(takesText(grammar, JSON.stringify(value, null, 2)));
    assert(takesText(grammar, '{"value": 12, "kids": [{"value": 1}]}'));
    assert(!takesText(grammar, '{"kids":[]}'));
    assert(!takesText(grammar, '{"value":12,"more":1}'));
  });

  it('has members of any name', async () => {
    const grammar = await grammarOf({
      $case: 'jsonSchema',
      value: '{"properties":{"__proto__":{"type":"null"}},"required":["__proto__"]}',
    });

    assert(takesText(grammar, '{"__proto__":null}'));
    assert(!takesText(grammar, '{}'));
  });

  it('takes every escape, and no character that needs one', async () => {
    const grammar = await grammarOf(formOf({ type: 'string' }));

    assert(takesText(grammar, '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9日😀"'));
    for (const text of ['"\n"', '"\\x"', '"\\ud800"', '"a', '"a""']) {
      assert(!takesText(grammar, text), text);
    }
  });

  const REFUSED: readonly (readonly [schema: unknown, place: string, message: RegExp])[] = [
    [
      { type: 'object', properties: { a: { $dynamicRef: '#a' } } },
      '.properties.a.$dynamicRef',
      /not supported/,
    ],
    [{ if: { format: 'date' }, else: {} }, '.if.format', /within not, if or oneOf/],
    [{ type: 'array', items: { uniqueItems: true } }, '.items.uniqueItems', /at most 256 values/],
    [
      { patternProperties: { a: {} }, allOf: [{ additionalProperties: false }] },
      '.allOf[0].patternProperties',
      /cannot be combined: another schema/,
    ],
    [{ patternProperties: { '(^a)b': {} } }, '.patternProperties.(^a)b', /within a group/],
    [{ type: 'number', multipleOf: 0.00012345 }, '.multipleOf', /too many digits/],
    [{ type: 'object', not: { const: { a: 1 } } }, '.not', /no object but the empty one/],
    [{ not: { multipleOf: 3 } }, '.not.multipleOf', /within not/],
    [
      { properties: { a: {} }, additionalProperties: {}, minProperties: 3 },
      '.minProperties',
      /up to one more/,
    ],
    [{ contains: {}, prefixItems: [{}] }, '.prefixItems', /beside contains/],
    [{ type: 'string', format: 'color' }, '.format', /not enforced; date/],
    [{ type: 'string', pattern: '(?<=a)b' }, '.pattern', /look-behind/],
    [{ type: 'string', pattern: '(?:a(?=b)b)*' }, '.pattern', /look-ahead that is repeated/],
    [{ type: 'string', pattern: 'a{3}', maxLength: 2 }, '', /no text of it ends/],
    [{ type: 'text' }, '.type', /must be of object/],
    [{ maxlength: 3 }, '.maxlength', /not supported/],
    [{ $ref: 'https://example.com/a' }, '.$ref', /within the schema/],
    [{ $ref: '#/$defs/none' }, '.$ref', /refers to nothing/],
    [{ oneOf: [{ type: 'string' }, { format: 'date' }] }, '.oneOf[0]', /together with oneOf\[1\]/],
    [{ anyOf: [] }, '.anyOf', /list of schemas/],
    [{ allOf: [{ format: 'date' }, { format: 'uuid' }] }, '.allOf[1].format', /must both hold/],
    [{ type: 'array', minItems: -1 }, '.minItems', /whole number/],
    [{ $ref: '#' }, '', /itself|no text/],
    [
      {
        $defs: { a: { type: 'object', properties: { b: { $ref: '#/$defs/a' } }, required: ['b'] } },
        $ref: '#/$defs/a',
      },
      '',
      /no text of it ends/,
    ],
    [7, '', /must be a schema/],
  ];
  for (const [schema, place, message] of REFUSED) {
    it(`is refused with its place: ${JSON.stringify(schema).slice(0, 70)}`, () => {
      const refusal = refusalOfForm(formOf(schema));

      assert.equal(refusal.param, `structured_output.json_schema${place}`);
      assert.match(refusal.message, message);
    });
  }

  it('is refused if it is too deep or too large', () => {
    let deep: unknown = {};
    for (let i = 0; i < 100; i++) deep = { type: 'array', items: deep };
    assert.match(refusalOfForm(formOf(deep)).message, /64 schemas deep/);

    const items = { type: 'string', minLength: 3000 };
    assert.match(refusalOfForm(formOf(items)).message, /states; bound its repetitions lower/);
  });

  it('that is no JSON is refused', () => {
    assert.match(refusalOfForm({ $case: 'jsonSchema', value: '{' }).message, /is not JSON/);
  });
});
