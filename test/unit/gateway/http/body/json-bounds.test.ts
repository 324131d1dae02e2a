import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { JsonBounds } from '#gateway/http/body/json-bounds.ts';

const NO_LIMITS = { maxValues: Infinity, maxDepth: Infinity };

interface Sent {
  /** Number of bytes that arrive together; unset: all. */
  readonly blockBytes?: number;
}

function check(json: string, limits: Partial<typeof NO_LIMITS>, { blockBytes }: Sent = {}): void {
  const bytes = Buffer.from(json);
  const bounds = new JsonBounds({ ...NO_LIMITS, ...limits });
  const step = blockBytes ?? bytes.length;
  for (let i = 0; i < bytes.length; i += step) bounds.push(bytes.subarray(i, i + step));
}

const tooMany = (maxValues: number) => ({
  reason: 'INVALID_REQUEST',
  message:
    `the body has more than ${maxValues} values and field names, of which an object or a list ` +
    'counts as 10 (key "max-json-values")',
});
const tooDeep = (maxDepth: number) => ({
  reason: 'INVALID_REQUEST',
  message: `the body is nested deeper than ${maxDepth} levels (key "max-json-depth")`,
});

/**
 * Counts values and names of a parsed JSON value, an object or a list as ten. The scan must count
 * the same number without parsing.
 */
function numValuesOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  const numNames = Array.isArray(value) ? 0 : Object.keys(value).length;
  const inner: unknown[] = Object.values(value);
  return inner.reduce<number>((sum, one) => sum + numValuesOf(one), 10 + numNames);
}

describe('JsonBounds', () => {
  const COUNTED = [
    '0',
    '"a"',
    'null',
    '[]',
    ' [ true , false\t,null\r\n,-1.5e+10,"" ] ',
    '{"a":{"b":[1,{"c":"d"}]},"e":[],"f":{}}',
    String.raw`["\"","\\","\\\"","[1,2]","{\"a\":1}","\u0022,",""]`,
    String.raw`{"\\":"\\\\","a\"b":[["\\\""]]}`,
    '["名 😀, [",1]',
  ];
  for (const json of COUNTED) {
    const numValues = numValuesOf(JSON.parse(json));
    it(`counts ${numValues} values in ${json}, however it is cut`, () => {
      for (const blockBytes of [1, 2, 3, 5, 100]) {
        check(json, { maxValues: numValues }, { blockBytes });
        assert.throws(
          () => check(json, { maxValues: numValues - 1 }, { blockBytes }),
          tooMany(numValues - 1),
        );
      }
    });
  }

  it('counts levels, not containers', () => {
    check('[[],{},[{}],"[[[["]', { maxDepth: 3 });

    assert.throws(() => check('[[],{},[{}]]', { maxDepth: 2 }), tooDeep(2));
  });

  it('refuses the first level too many before the rest has come', () => {
    assert.throws(() => check('[[[', { maxDepth: 2 }), tooDeep(2));
  });

  it('refuses the first value too many before the rest has come', () => {
    assert.throws(() => check('[0,0,0,', { maxValues: 12 }), tooMany(12));
  });

  it('leaves what is not JSON to the parser', () => {
    for (const text of ['}}}}[', '[,,,,', '"open', '\\"\\', 'nul', '{"a"', '\0\xff"\n"']) {
      check(text, { maxValues: 20, maxDepth: 2 }, { blockBytes: 1 });
    }
  });
});
