import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  newSpanId,
  newTraceId,
  parseTraceparent,
  traceparentOf,
} from '#mesh/trace/trace-context.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('parseTraceparent', () => {
  it('reads ids and the sampled flag, and what it reads is written the same', () => {
    for (const flags of ['00', '01']) {
      const header = `00-${TRACE}-${SPAN}-${flags}`;
      const trace = parseTraceparent(header, 'a=1,b=2');
      assert.deepEqual(trace, {
        traceId: TRACE,
        spanId: SPAN,
        isSampled: flags === '01',
        state: 'a=1,b=2',
      });
      assert.equal(traceparentOf(trace), header);
    }
  });

  it('reads a later version, whose header may go on', () => {
    const trace = parseTraceparent(`cc-${TRACE}-${SPAN}-01-what-comes-then`, undefined);

    assert.deepEqual(trace, { traceId: TRACE, spanId: SPAN, isSampled: true, state: '' });
  });

  for (const [what, header] of [
    ['nothing', undefined],
    ['an empty text', ''],
    ['two headers', [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-01`]],
    ['capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['more than version 00 has', `00-${TRACE}-${SPAN}-01-more`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['a line break', `00-${TRACE}-${SPAN}-01\n`],
  ] as const) {
    it(`takes ${what} for no trace`, () => {
      assert.equal(parseTraceparent(header, undefined), undefined);
    });
  }

  it('drops a state that is too long or no ASCII, and keeps the trace', () => {
    for (const state of ['x'.repeat(513), 'a=ü', ['a=1', 'b=2']]) {
      assert.equal(parseTraceparent(`00-${TRACE}-${SPAN}-01`, state)?.state, '');
    }
  });
});

describe('a new id', () => {
  it('has its length in hex and is not zero', () => {
    for (let i = 0; i < 1000; i++) {
      assert.match(newTraceId(), /^(?!0{32})[\da-f]{32}$/);
      assert.match(newSpanId(), /^(?!0{16})[\da-f]{16}$/);
    }
  });
});
