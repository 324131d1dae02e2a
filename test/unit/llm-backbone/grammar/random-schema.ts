/** Makes random schemas of the keywords that are enforced; `random` returns numbers below 1. */
export function randomSchema(random: () => number, depth = 0): unknown {
  const below = (count: number) => Math.floor(random() * count);
  const oneOf = <T>(...values: readonly T[]): T => values[below(values.length)] as T;
  const some = (fields: object) => (random() < 0.5 ? fields : {});
  const child = () => randomSchema(random, depth + 1);
  const name = () => oneOf('a', 'ab', 'é', 'with "quotes"', 'x y');
  const kinds = depth > 2 ? 10 : 21;
  switch (below(kinds)) {
    case 0:
      return {
        type: 'string',
        ...some({ minLength: below(4) }),
        ...some({ maxLength: 4 + below(20) }),
      };
    case 1:
      return {
        type: 'string',
        pattern: oneOf('^[a-z]{2,5}$', '\\d+-\\w', '^(a|é|日)*$', '["\\\\]x'),
      };
    case 2: {
      const min = below(2000) - 1000;
      return {
        type: 'integer',
        ...some({ [oneOf('minimum', 'exclusiveMinimum')]: min }),
        ...some({ [oneOf('maximum', 'exclusiveMaximum')]: min + 2 + below(3000) }),
      };
    }
    case 3: {
      const min = (below(2000) - 1000) / 8;
      return {
        type: 'number',
        ...some({ [oneOf('minimum', 'exclusiveMinimum')]: min }),
        ...some({ [oneOf('maximum', 'exclusiveMaximum')]: min + (1 + below(400)) / 16 }),
      };
    }
    case 4:
      return {
        enum: [oneOf<unknown>(1, 'a', null, true, [1], { b: 'ü"' }), 'x', 2.5].slice(
          0,
          1 + below(3),
        ),
      };
    case 5:
      return {
        type: oneOf<unknown>('boolean', 'null', ['string', 'null'], ['integer', 'boolean']),
      };
    case 6:
      return {
        type: 'string',
        format: oneOf(
          'date',
          'time',
          'date-time',
          'email',
          'hostname',
          'ipv4',
          'ipv6',
          'uuid',
          'uri',
          'duration',
        ),
      };
    case 7:
      return {
        type: oneOf('integer', 'number'),
        multipleOf: oneOf(2, 3, 7, 12),
        ...some({ minimum: below(100) - 50 }),
        ...some({ maximum: 60 + below(100) }),
        ...some({ not: { enum: [0, 12, 84, -42] } }),
      };
    case 8:
      return {
        type: 'string',
        pattern: oneOf('^(?=.*b)[a-d]+$', '^(?!ab)[a-c]{2,4}$', 'x(?:y|z)*'),
        ...some({ minLength: 1 + below(2), maxLength: 4 + below(9) }),
        ...some({ not: { anyOf: [{ const: 'bb' }, { pattern: oneOf('cc', '^a') }] } }),
      };
    case 9:
      return { not: oneOf<unknown>({ type: ['object', 'array'] }, { enum: ['a', null, 0] }) };
    case 10:
      return {
        type: 'array',
        items: oneOf<unknown>({ enum: [1, 'b', null] }, { type: 'boolean' }),
        uniqueItems: true,
        ...some({ minItems: below(3) }),
        ...some({ maxItems: 2 + below(3) }),
      };
    case 11:
      return {
        type: 'array',
        items: oneOf<unknown>(true, { type: ['integer', 'null'] }),
        contains: { type: 'integer', minimum: 3 },
        ...some({ minContains: 1 + below(2) }),
        ...some({ maxContains: 2 + below(2) }),
        ...some({ maxItems: 3 + below(2) }),
      };
    case 12:
      return {
        type: 'object',
        patternProperties: { '^a': child(), b$: { not: { type: 'null' } } },
        ...some({ properties: { [name()]: child() } }),
        ...some({ additionalProperties: oneOf<unknown>(false, child()) }),
      };
    case 13:
      return {
        type: 'object',
        propertyNames: oneOf<unknown>(
          { maxLength: 4, pattern: '^[a-z]*$' },
          { enum: ['k', 'kk'] },
          { not: { const: 'x' } },
        ),
        additionalProperties: child(),
        ...some({ maxProperties: 1 + below(3) }),
        ...some({ minProperties: below(2) }),
      };
    case 14: {
      const properties = { a: child(), b: child(), ['x y']: child() };
      return {
        type: 'object',
        properties,
        minProperties: below(3),
        ...some({ maxProperties: 2 }),
        ...some({ dependentRequired: { a: ['b'] } }),
      };
    }
    case 15:
      return {
        type: 'object',
        properties: { kind: { enum: ['a', 'b', 'c'] }, value: { type: ['integer', 'string'] } },
        required: ['kind', 'value'],
        if: { properties: { kind: { const: oneOf('a', 'b') } } },
        // biome-ignore lint/suspicious/noThenProperty: JSON Schema's keyword.
        then: { properties: { value: { type: 'string', maxLength: 3 } } },
        ...some({ else: { properties: { value: { minimum: 7 } } } }),
      };
    case 16:
      return {
        type: 'array',
        items: child(),
        ...some({ minItems: below(3) }),
        ...some({ maxItems: 2 + below(3) }),
      };
    case 17:
      return {
        type: 'array',
        prefixItems: [child(), child()],
        ...some({ items: oneOf<unknown>(false, child()) }),
        ...some({ minItems: 1 + below(2) }),
      };
    case 18:
      return { anyOf: [child(), child()] };
    case 19:
      return {
        oneOf: [
          { type: 'object', properties: { kind: { const: 'a' }, a: child() }, required: ['kind'] },
          { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind', 'other'] },
        ],
      };
    case 20:
      return {
        allOf: [
          { type: 'object', properties: { a: child() }, required: ['a'] },
          { type: 'object', properties: { b: child() } },
        ],
      };
    default: {
      const names = ['a', 'ab', 'é', 'with "quotes"', 'x y'].slice(0, 1 + below(5));
      const properties = Object.fromEntries(names.map((name) => [name, child()]));
      return {
        type: 'object',
        properties,
        ...some({ required: names.filter(() => random() < 0.5) }),
        ...some({ additionalProperties: oneOf<unknown>(true, false, child()) }),
      };
    }
  }
}
