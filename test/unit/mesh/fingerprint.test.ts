import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fingerprint } from '#mesh/fingerprint.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const MODEL = join(PACKAGE_ROOT, 'test/testdata/glm4-tiny');

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

  it('changes with a byte of a weight at a sampled place', async () => {
    const path = join(folder, 'model.safetensors');
    const bytes = await readFile(path);
    const start = 8 + Number(bytes.readBigUInt64LE());
    bytes[start] = (bytes[start] ?? 0) ^ 1;
    await writeFile(path, bytes);

    assert.notEqual(await fingerprint(folder), await fingerprint(MODEL));
  });

  it('refuses a file that ends inside its header', async () => {
    await writeFile(join(folder, 'model.safetensors'), Buffer.from([255, 255, 0, 0, 0, 0, 0, 0]));

    await assert.rejects(fingerprint(folder), /model\.safetensors: not a safetensors file/);
  });
});
