import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { framed, MessageReader } from '#mesh/grpc/message-reader.ts';
import { refusal } from '#test/refusal.ts';

const MESSAGES = ['', 'one', 'a longer message', ''].map((text) => Buffer.from(text));
const BYTES = Buffer.concat(MESSAGES.map(framed));

function readAll(reader: MessageReader): Buffer[] {
  const messages: Buffer[] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) messages.push(next);
  return messages;
}

describe('a reader of messages', () => {
  it('returns them whole, wherever their bytes were cut', () => {
    for (let size = 1; size <= BYTES.length; size++) {
      const reader = new MessageReader(100);
      const read: Buffer[] = [];
      for (let start = 0; start < BYTES.length; start += size) {
        reader.add(BYTES.subarray(start, start + size));
        read.push(...readAll(reader));
      }
      assert.deepEqual(read, MESSAGES, `pieces of ${size} bytes`);
    }
  });

  it('returns none before its last byte has come', () => {
    const reader = new MessageReader(100);
    reader.add(framed(Buffer.from('one')).subarray(0, -1));
    assert.deepEqual(readAll(reader), []);
  });

  it('refuses a message over the limit by its length, before its bytes have come', () => {
    const reader = new MessageReader(100);
    reader.add(framed(Buffer.alloc(101)).subarray(0, 5));
    assert.throws(
      () => reader.next(),
      refusal('PAYLOAD_TOO_LARGE', /^a service sent a message of 101 bytes; the limit is 100$/),
    );
  });

  it('refuses compressed bytes', () => {
    const reader = new MessageReader(100);
    reader.add(Buffer.from([1, 0, 0, 0, 0]));
    assert.throws(
      () => reader.next(),
      refusal('ENGINE_FAILED', /^a service sent compressed bytes$/),
    );
  });
});
