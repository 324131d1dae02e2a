import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadDecoder } from '#native';
import { README } from '#test/readme.ts';
import { engineRefusal } from '#test/refusal.ts';

const [, MODELS = ''] = README.split('## Models\n');
const [SUPPORTED = '', REFUSED = ''] = MODELS.split('### ')[0]?.split('| refused at start') ?? [];

/** Returns the model types that a table of the README names. */
function modelTypes(table: string): string[] {
  return [...table.matchAll(/`(\w+)`/g)].flatMap(([, name = '']) => name);
}

describe('the models that the README names', () => {
  let directory = '';
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'autoglm-models-'));
  });
  after(() => rm(directory, { recursive: true }));

  async function load(config: object): Promise<unknown> {
    await writeFile(join(directory, 'config.json'), JSON.stringify(config));
    return loadDecoder({
      model: { directory },
      device: 'cpu',
      weightDtype: 'float32',
      activationDtype: 'float32',
      blockSize: 16,
      kvCacheBytes: 1024 * 1024,
      maxNumBatchedTokens: 16,
    });
  }

  const supported = modelTypes(SUPPORTED.split('|---|---|---|')[1] ?? '');
  const refused = modelTypes(REFUSED.split('\n').slice(2, 4).join('\n'));

  it('are there', () => {
    assert.deepEqual(supported, ['glm4v', 'glm4', 'autoglm_phone']);
    assert(refused.length > 4);
  });

  for (const type of supported) {
    it(`are taken, so that the sizes are read next: ${type}`, async () => {
      await assert.rejects(
        load({ model_type: type, text_config: { model_type: 'glm4' } }),
        engineRefusal('INVALID_CHECKPOINT', /hidden_size/),
      );
    });
  }

  for (const type of refused) {
    it(`are refused by name: ${type}`, async () => {
      await assert.rejects(
        load({ model_type: type }),
        engineRefusal('UNSUPPORTED', new RegExp(`"${type}" is not supported; supported: glm4,`)),
      );
    });
  }
});
