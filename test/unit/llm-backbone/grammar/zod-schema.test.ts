import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import type { LimitingForm } from '#backbone/grammar/form-rules.ts';
import { seededRandom } from '#test/seeded-random.ts';
import { forcedText, grammarOf } from './forced-text.ts';

const SEED = Number(process.env['SCHEMA_SEED'] ?? 14);
const NUM_TEXTS = 6;

interface Tree {
  readonly name: string;
  readonly kids: readonly Tree[];
}
const tree: z.ZodType<Tree> = z.object({
  name: z.string(),
  get kids() {
    return z.array(tree).readonly();
  },
});

const SCHEMAS: Readonly<Record<string, z.ZodType>> = {
  email: z.email(),
  url: z.url(),
  uuid: z.uuid(),
  'uuid of version 4': z.uuidv4(),
  'date and time': z.iso.datetime(),
  date: z.iso.date(),
  time: z.iso.time(),
  duration: z.iso.duration(),
  ipv4: z.ipv4(),
  ipv6: z.ipv6(),
  'range of addresses': z.cidrv4(),
  base64: z.base64(),
  nanoid: z.nanoid(),
  cuid: z.cuid(),
  ulid: z.ulid(),
  'telephone number': z.e164(),
  hostname: z.hostname(),
  'lower-case text': z.string().lowercase().max(8),
  'text that begins and ends': z.string().startsWith('ab').endsWith('z'),
  'text with a part': z.string().includes('mid'),
  'text of a pattern and a length': z
    .string()
    .regex(/^[a-z]+$/)
    .min(2)
    .max(5),
  'text of two patterns': z
    .string()
    .regex(/^[a-z]+$/)
    .regex(/^.b/),
  integer: z.int(),
  'number above 0': z.number().positive(),
  'multiple of a fraction': z.number().multipleOf(0.01),
  'multiple of an integer': z.int().multipleOf(5),
  'number in a range': z.number().gt(1).lt(2),
  'literals of several types': z.literal(['a', 1, null]),
  enum: z.enum(['a', 'b']),
  'template literal': z.templateLiteral(['a', z.int(), 'b']),
  'object with optional, default and nullable members': z.object({
    a: z.string().describe('the first'),
    b: z.number().optional(),
    c: z.boolean().default(true),
    d: z.string().nullable(),
    e: z.string().nullish(),
  }),
  'strict object': z.strictObject({ a: z.string() }),
  'loose object': z.looseObject({ a: z.string() }),
  'object with a catch-all': z.object({ a: z.string() }).catchall(z.number()),
  'array with bounds': z.array(z.number()).min(1).max(3),
  tuple: z.tuple([z.string(), z.number()]),
  'tuple with a rest': z.tuple([z.string()], z.number()),
  record: z.record(z.string(), z.number()),
  'record of an enum': z.record(z.enum(['a', 'b']), z.number()),
  'record of some of an enum': z.partialRecord(z.enum(['a', 'b']), z.number()),
  'record of a pattern': z.record(z.string().regex(/^k_[a-z]*$/), z.number()),
  union: z.union([z.string(), z.number(), z.null()]),
  'discriminated union': z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('a'), text: z.string() }),
    z.object({ kind: z.literal('b'), size: z.number() }),
  ]),
  intersection: z.intersection(z.object({ a: z.string() }), z.object({ b: z.number() })),
  'recursive object': tree,
};

describe(`schemas that zod writes (SCHEMA_SEED=${SEED})`, () => {
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    it(`${name}: zod takes every text`, async () => {
      for (const target of ['draft-2020-12', 'draft-7'] as const) {
        const written = JSON.stringify(z.toJSONSchema(schema, { target }));
        const form: LimitingForm = { $case: 'jsonSchema', value: written };
        const grammar = await grammarOf(form);
        const random = seededRandom(SEED);
        for (let i = 0; i < NUM_TEXTS; i++) {
          const text = forcedText(grammar, random);
          const { error } = schema.safeParse(JSON.parse(text));
          assert.equal(error, undefined, `${target}: ${text}: ${error?.message}`);
        }
      }
    });
  }
});
