/** Makes random schemas of the keywords that are enforced; `random` returns numbers below 1. */
export function randomSchema(random: () => number, depth = 0): unknown {
  const below = (count: number) => Math.floor(random() * count);
  const oneOf = <T>(...values: readonly T[]): T => values[below(values.length)] as T;
  const some = (fields: object) => (random() < 0.5 ? fields : {});
  const child = () => randomSchema(random, depth + 1);
  const kinds = depth > 2 ? 7 : 13;
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
        type: 'array',
        items: child(),
        ...some({ minItems: below(3) }),
        ...some({ maxItems: 2 + below(3) }),
      };
    case 8:
      return {
        type: 'array',
        prefixItems: [child(), child()],
        ...some({ items: oneOf<unknown>(false, child()) }),
        ...some({ minItems: 1 + below(2) }),
      };
    case 9:
      return { anyOf: [child(), child()] };
    case 10:
      return {
        oneOf: [
          { type: 'object', properties: { kind: { const: 'a' }, a: child() }, required: ['kind'] },
          { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind', 'other'] },
        ],
      };
    case 11:
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
