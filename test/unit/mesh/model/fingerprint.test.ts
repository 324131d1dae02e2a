import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fingerprint } from '#mesh/model/fingerprint.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const MODEL = join(PACKAGE_ROOT, 'test/testdata/glm4-tiny');

/** A safetensors file of a header and no data. */
function fileOf(header: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, Buffer.from(header)]);
}

describe('fingerprint', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fingerprint-'));
    await cp(MODEL, folder, { recursive: true });
  });
  after(() => rm(folder, { recursive: true }));

  it('is the same for equal checkpoints wherever they lie', async () => {
    assert.equal(await fingerprint(folder), await fingerprint(MODEL));
  });

  it('changes with one byte at the head, the middle or the tail of any tensor', async () => {
    const original = await readFile(join(MODEL, 'model.safetensors'));
    const unchanged = await fingerprint(MODEL);
    const start = 8 + Number(original.readBigUInt64LE());
    const header: unknown = JSON.parse(original.toString('utf8', 8, start));
    assert.ok(typeof header === 'object' && header !== null);
    let numTensors = 0;
    for (const [name, entry] of Object.entries(header)) {
      if (name === '__metadata__') continue;
      numTensors += 1;
      const [begin, end] = entry.data_offsets;
      for (const place of [begin, Math.floor((begin + end) / 2), end - 1]) {
        const bytes = Buffer.from(original);
        bytes[start + place] = (bytes[start + place] ?? 0) ^ 1;
        await writeFile(join(folder, 'model.safetensors'), bytes);

        assert.notEqual(await fingerprint(folder), unchanged, `${name} at ${place}`);
      }
    }
    assert.ok(numTensors > 20);
  });

  it('refuses files that describe no tensors within themselves', async () => {
    const contents: readonly [Buffer, RegExp][] = [
      [Buffer.from([255, 255, 0, 0, 0, 0, 0, 0]), /header of 65535 bytes in a file of 8/],
      [Buffer.from([1, 2]), /shorter than its header length/],
      [fileOf('{"a":{"data_offsets":[0,9]}}'), /a tensor at bytes 0 to 9 of 0/],
      [fileOf('{"a":[1,2]}'), /does not describe tensors/],
      [fileOf('{"a":'), /its header is not JSON/],
      [fileOf('['.repeat(100_000)), /its header is not JSON/],
      [Buffer.from('version https://git-lfs.github.com/spec/v1\noid'), /is a git-lfs pointer/],
    ];
    for (const [content, message] of contents) {
      await writeFile(join(folder, 'model.safetensors'), content);

      await assert.rejects(fingerprint(folder), message);
    }
  });
});
