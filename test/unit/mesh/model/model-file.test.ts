import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { weightBytes } from '#mesh/model/model-file.ts';

describe('the size of the weights', () => {
  it('counts the files that are loaded, and no others', async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'weights-'));
    t.after(() => rm(directory, { recursive: true }));
    const sizes = {
      'model-00001-of-00002.safetensors': 5,
      'model-00002-of-00002.safetensors': 7,
      'adapter_model.safetensors': 100,
      'consolidated.safetensors': 1000,
      'model.safetensors.index.json': 10_000,
    };
    for (const [name, size] of Object.entries(sizes)) {
      await writeFile(join(directory, name), Buffer.alloc(size));
    }

    assert.equal(await weightBytes(directory), 12);
  });
});
