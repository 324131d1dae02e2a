import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rowsMessages } from '#encoder/encoder-rows.ts';
import type { EncodeRows } from '#protos/autoglm/encoder/v1/encoder.ts';

function cut(numRows: number, hiddenSize: number): EncodeRows[] {
  const rows = Float32Array.from({ length: numRows * hiddenSize }, (_, i) => i);
  return [...rowsMessages(rows, { hiddenSize })].flatMap(({ event }) =>
    event?.$case === 'rows' ? [event.value] : [],
  );
}

describe('rowsMessages', () => {
  it('fills messages of 256 KiB and leaves the rest to the last', () => {
    const messages = cut(150, 1024);

    assert.deepEqual(
      messages.map(({ firstRow, rows }) => [firstRow, rows?.shape]),
      [
        [0, [64, 1024]],
        [64, [64, 1024]],
        [128, [22, 1024]],
      ],
    );
    assert.equal(messages[1]?.rows?.data.length, 256 * 1024);
    assert.equal(messages[1]?.rows?.data.readFloatLE(0), 64 * 1024);
  });

  it('sends a row that is wider than a message alone', () => {
    assert.deepEqual(
      cut(2, 100_000).map(({ rows }) => rows?.shape),
      [
        [1, 100_000],
        [1, 100_000],
      ],
    );
  });

  it('sends nothing of no rows', () => {
    assert.deepEqual(cut(0, 8), []);
  });

  it('reads rows that are a view within a larger buffer', () => {
    const rows = new Float32Array(Float32Array.of(9, 9, 1, 2, 3, 4).buffer, 8);

    const [message] = [...rowsMessages(rows, { hiddenSize: 2 })];

    assert.ok(message?.event?.$case === 'rows');
    assert.equal(message.event.value.rows?.data.readFloatLE(0), 1);
    assert.equal(message.event.value.rows?.data.length, 16);
  });
});
