import assert from 'node:assert/strict';
import { createHash, randomFillSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { ContentHash } from '#mesh/encode/content-hash.ts';
import { MAX_CHUNK_BYTES } from '#mesh/encode/upload-limits.ts';
import { turnsDuring } from '#test/unit/turns-during.ts';

const BYTES = randomFillSync(Buffer.alloc(5 * MAX_CHUNK_BYTES + 7));
const DIGEST = createHash('sha256').update(BYTES).digest();

describe('ContentHash', () => {
  for (const chunkBytes of [1000, MAX_CHUNK_BYTES - 1, MAX_CHUNK_BYTES, BYTES.length]) {
    it(`is the SHA-256 of bytes that come ${chunkBytes} at a time`, async () => {
      const hash = new ContentHash();

      for (let at = 0; at < BYTES.length; at += chunkBytes) {
        await hash.update(BYTES.subarray(at, at + chunkBytes));
      }

      assert.deepEqual(hash.digest(), DIGEST);
    });
  }

  it('of nothing is that of no bytes', async () => {
    const hash = new ContentHash();
    await hash.update(Buffer.alloc(0));

    assert.deepEqual(hash.digest(), createHash('sha256').digest());
  });

  it('lets the event loop turn after the bytes of each chunk', async () => {
    const whole = new ContentHash();
    const pieces = new ContentHash();

    const numWhole = await turnsDuring(() => whole.update(BYTES));
    const numPieces = await turnsDuring(async () => {
      for (let at = 0; at < BYTES.length; at += 1000) {
        await pieces.update(BYTES.subarray(at, at + 1000));
      }
    });

    assert.deepEqual([numWhole, numPieces], [5, 5]);
  });

  it('of a small item costs no turn', async () => {
    const hash = new ContentHash();

    assert.equal(await turnsDuring(() => hash.update(BYTES.subarray(0, MAX_CHUNK_BYTES))), 0);
  });
});
