import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { forcedText, grammarOf, takesText } from './forced-text.ts';

const SEED = Number(process.env['SCHEMA_SEED'] ?? 14);
const NUM_TEXTS = 12;

/** A schema with JSON texts that are its own, and others that are not. */
interface Case {
  readonly schema: unknown;
  readonly takes: readonly string[];
  readonly refuses: readonly string[];
}

const formOf = (schema: unknown): LimitingForm => ({
  $case: 'jsonSchema',
  value: JSON.stringify(schema),
});

const COUNTRY = {
  type: 'object',
  properties: {
    country: { enum: ['US', 'NL'] },
    code: { type: 'string' },
  },
  required: ['country', 'code'],
  if: { properties: { country: { const: 'US' } } },
  // biome-ignore lint/suspicious/noThenProperty: JSON Schema's keyword.
  then: { properties: { code: { pattern: '^[0-9]{5}$' } } },
  else: { properties: { code: { pattern: '^[0-9]{4} [A-Z]{2}$' } } },
};

const CASES: Readonly<Record<string, Case>> = {
  'multiples of an integer': {
    schema: { type: 'integer', multipleOf: 7, minimum: -30, maximum: 30 },
    takes: ['0', '7', '-28', '21'],
    refuses: ['1', '35', '-35', '7.0', '-1'],
  },
  'multiples of a fraction': {
    schema: { type: 'number', multipleOf: 0.25, minimum: 0 },
    takes: ['0', '0.5', '3.25', '12', '0.75', '1.0'],
    refuses: ['0.1', '3.3', '0.125', '-0.25', '1e0'],
  },
  'multiples of two numbers': {
    schema: { type: 'integer', multipleOf: 4, allOf: [{ multipleOf: 6 }] },
    takes: ['0', '12', '-24'],
    refuses: ['4', '6', '8'],
  },
  'values that are none of some': {
    schema: { type: ['string', 'integer', 'null'], not: { enum: ['no', 3, null] } },
    takes: ['"yes"', '"n"', '"noo"', '""', '2', '4', '-3', '33'],
    refuses: ['"no"', '3', 'null', 'true'],
  },
  'a number that is not another': {
    schema: { type: 'number', not: { const: 0 } },
    takes: ['0.5', '-1', '12'],
    refuses: ['0', '-0', '0.0', '0e1'],
  },
  'texts without a pattern': {
    schema: { type: 'string', not: { pattern: '[aeiou]' } },
    takes: ['"xyz"', '"日本"', '""'],
    refuses: ['"xaz"', '"e"', '1'],
  },
  'types that are not allowed': {
    schema: { not: { type: ['object', 'array', 'number'] } },
    takes: ['"a"', 'true', 'null'],
    refuses: ['1', '[]', '{}'],
  },
  'not a form of an object': {
    schema: {
      type: 'object',
      properties: { kind: { enum: ['a', 'b'] }, size: { type: 'integer' } },
      required: ['kind', 'size'],
      not: { properties: { kind: { const: 'a' }, size: { minimum: 10 } } },
    },
    takes: ['{"kind":"a","size":3}', '{"kind":"b","size":30}'],
    refuses: ['{"kind":"a","size":10}'],
  },
  'a pattern and a length': {
    schema: { type: 'string', pattern: '^[a-z]+$', minLength: 2, maxLength: 4 },
    takes: ['"ab"', '"abcd"'],
    refuses: ['"a"', '"abcde"', '"AB"'],
  },
  'two patterns': {
    schema: { allOf: [{ pattern: '^[a-z]{3}$' }, { pattern: '^a.*$' }] },
    takes: ['"abc"'],
    refuses: ['"bbc"', '"ab"'],
  },
  'a pattern that looks ahead': {
    schema: { type: 'string', pattern: '^(?!.*--)(?=.{3,5}$)[a-z-]+$' },
    takes: ['"a-b"', '"abcde"'],
    refuses: ['"a--b"', '"ab"', '"abcdef"', '"A-b"'],
  },
  'a choice that looks ahead within a group': {
    schema: { type: 'string', pattern: '^x(?:a|(?!c)[a-z]b)?y$' },
    takes: ['"xy"', '"xay"', '"xbby"', '"xaby"'],
    refuses: ['"xcby"', '"xby"'],
  },
  'a format and a length': {
    schema: { type: 'string', format: 'date', not: { const: '2024-01-01' }, maxLength: 10 },
    takes: ['"2024-01-02"'],
    refuses: ['"2024-01-01"', '"2024-1-2"'],
  },
  'members whose names have a pattern': {
    schema: {
      type: 'object',
      properties: { id: { type: 'integer' } },
      patternProperties: { '^s_': { type: 'string' }, '[n-z]$': { maxLength: 1 } },
      additionalProperties: false,
    },
    takes: ['{}', '{"id":1}', '{"s_a":"x"}', '{"id":1,"s_n":"y"}', '{"bn":"z"}'],
    refuses: ['{"s_a":1}', '{"s_n":"yy"}', '{"bn":"zz"}', '{"else":1}'],
  },
  'a named member whose name has a pattern': {
    schema: {
      properties: { a1: { type: 'integer' } },
      patternProperties: { '^a': { minimum: 5 } },
      additionalProperties: { type: 'null' },
      required: ['a1'],
    },
    takes: ['{"a1":5}', '{"a1":6,"x":null}'],
    refuses: ['{"a1":4}', '{"a1":5,"x":1}', '{}'],
  },
  'names of members': {
    schema: {
      type: 'object',
      propertyNames: { pattern: '^[a-z]+$', maxLength: 3, not: { const: 'no' } },
      additionalProperties: { type: 'integer' },
    },
    takes: ['{}', '{"a":1,"abc":2}'],
    refuses: ['{"A":1}', '{"abcd":1}', '{"no":1}', '{"":1}'],
  },
  'listed names of members': {
    schema: {
      type: 'object',
      propertyNames: { enum: ['x', 'y'] },
      additionalProperties: { type: 'integer' },
    },
    takes: ['{}', '{"x":1}', '{"y":1,"x":2}'],
    refuses: ['{"z":1}'],
  },
  'a number of members': {
    schema: {
      type: 'object',
      properties: { a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } },
      minProperties: 1,
      maxProperties: 2,
    },
    takes: ['{"a":null}', '{"c":null}', '{"a":null,"c":null}', '{"b":null,"c":null}'],
    refuses: ['{}', '{"a":null,"b":null,"c":null}'],
  },
  'a number of members beside named ones': {
    schema: {
      type: 'object',
      properties: { a: { type: 'null' }, b: { type: 'null' } },
      required: ['b'],
      additionalProperties: { type: 'integer' },
      minProperties: 2,
      maxProperties: 3,
    },
    takes: ['{"a":null,"b":null}', '{"b":null,"x":1}', '{"a":null,"b":null,"x":1}'],
    refuses: ['{"b":null}', '{"a":null,"b":null,"x":1,"y":2}', '{"x":1,"y":2}'],
  },
  'members that need others': {
    schema: {
      type: 'object',
      properties: { card: { type: 'integer' }, address: { type: 'string' } },
      dependentRequired: { card: ['address'] },
    },
    takes: ['{}', '{"address":"a"}', '{"card":1,"address":"a"}'],
    refuses: ['{"card":1}'],
  },
  'members that bring a schema': {
    schema: {
      type: 'object',
      properties: { size: { type: 'integer' }, unit: { enum: ['cm', 'kg'] } },
      dependentSchemas: { unit: { required: ['size'], properties: { size: { minimum: 1 } } } },
    },
    takes: ['{}', '{"size":0}', '{"size":1,"unit":"cm"}'],
    refuses: ['{"size":0,"unit":"cm"}', '{"unit":"cm"}'],
  },
  'a condition': {
    schema: COUNTRY,
    takes: ['{"country":"US","code":"12345"}', '{"country":"NL","code":"1234 AB"}'],
    refuses: ['{"country":"US","code":"1234 AB"}', '{"country":"NL","code":"12345"}'],
  },
  'alternatives of which exactly one holds': {
    schema: { type: 'integer', oneOf: [{ maximum: 10 }, { minimum: 5 }] },
    takes: ['4', '-3', '11'],
    refuses: ['5', '10'],
  },
  'items that are asked for': {
    schema: { type: 'array', items: { type: 'integer' }, contains: { minimum: 100 }, maxItems: 3 },
    takes: ['[100]', '[1,200]', '[300,2,3]'],
    refuses: ['[]', '[1]', '[1,2,3,400]', '["a",100]'],
  },
  'a number of items that are asked for': {
    schema: {
      type: 'array',
      items: { enum: ['a', 'b'] },
      contains: { const: 'a' },
      minContains: 1,
      maxContains: 2,
      minItems: 2,
    },
    takes: ['["a","b"]', '["b","a","b","a"]', '["a","a"]'],
    refuses: ['["b","b"]', '["a","a","a"]', '["a"]'],
  },
  'different items': {
    schema: {
      type: 'array',
      items: { enum: ['a', 'b', 'c'] },
      uniqueItems: true,
      minItems: 1,
      maxItems: 2,
    },
    takes: ['["a"]', '["c","a"]', '["b","c"]'],
    refuses: ['[]', '["a","a"]', '["a","b","c"]', '["d"]'],
  },
  'many different items, in their order': {
    schema: {
      type: 'array',
      items: { enum: Array.from({ length: 40 }, (_, i) => i) },
      uniqueItems: true,
      minItems: 3,
    },
    takes: ['[0,1,2]', '[3,17,39]'],
    refuses: ['[0,1]', '[1,1,2]', '[2,1,0]'],
  },
  'listed values beside other keywords': {
    schema: { enum: ['a', 'abc', 5, 50, [1, 2]], minLength: 2, maximum: 10, maxItems: 1 },
    takes: ['"abc"', '5'],
    refuses: ['"a"', '50', '[1,2]'],
  },
  'an empty list or object that is excluded': {
    schema: { type: ['array', 'object'], items: { const: 1 }, not: { enum: [[], {}] } },
    takes: ['[1]', '[1,1]', '{"a":2}'],
    refuses: ['[]', '{}'],
  },
};

describe(`keywords of JSON Schema (SCHEMA_SEED=${SEED})`, () => {
  for (const [name, { schema, takes, refuses }] of Object.entries(CASES)) {
    it(`${name}: what is forced is valid, what is valid is taken`, async () => {
      const grammar = await grammarOf(formOf(schema));
      const ajv = new Ajv2020({ strict: false, multipleOfPrecision: 9 });
      addFormats.default(ajv);
      const isValid = ajv.compile(schema as object);

      const random = seededRandom(SEED);
      for (let i = 0; i < NUM_TEXTS; i++) {
        const text = forcedText(grammar, random);
        assert(isValid(JSON.parse(text)), text);
      }
      for (const text of takes) {
        assert(isValid(JSON.parse(text)), `${text} is not valid`);
        assert(takesText(grammar, text), `${text} is not taken`);
      }
      for (const text of refuses) assert(!takesText(grammar, text), `${text} is taken`);
    });
  }
});
