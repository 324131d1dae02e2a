import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { activationDtype, readNumerics } from '#backbone/checkpoint/numerics.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';

const MODEL = join(PACKAGE_ROOT, 'test', 'testdata', 'glm4-tiny');

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

describe('readNumerics', () => {
  it('names all that decides the bits of an answer', async () => {
    const files = await readModelFiles(MODEL, undefined);
    const { description } = new FakeDecoder();

    const numerics = await readNumerics(
      { model: MODEL, dtype: 'bfloat16' },
      { description, isa: 'avx2' },
      { ...files, chatTemplate: { text: '{{ messages }}', path: 'x.jinja' } },
    );

    assert.deepEqual(numerics, {
      isa: 'avx2',
      weightDtype: description.weightDtype,
      kvDtype: 'bfloat16',
      quantization: '',
      numRanks: 1,
      tokenizerHash: sha256(readFileSync(join(MODEL, 'tokenizer.json'))),
      templateHash: sha256('{{ messages }}'),
    });
  });

  it('has no hash of a template that is not there', async () => {
    const files = await readModelFiles(MODEL, undefined);
    const { description } = new FakeDecoder();
    const options = { model: MODEL, dtype: 'auto' } as const;

    const decoder = { description, isa: '' };
    const { templateHash } = await readNumerics(options, decoder, { ...files, chatTemplate: null });

    assert.equal(templateHash, '');
  });
});

describe('activationDtype', () => {
  it('follows the weights, but never to float16', () => {
    const stored = (dtype: 'auto' | 'half' | 'bfloat16' | 'float32', checkpoint: string) =>
      activationDtype({ dtype }, { dtype: checkpoint });

    assert.equal(stored('auto', 'bfloat16'), 'bfloat16');
    assert.equal(stored('auto', 'float16'), 'float32');
    assert.equal(stored('auto', ''), 'float32');
    assert.equal(stored('bfloat16', 'float32'), 'bfloat16');
    assert.equal(stored('half', 'bfloat16'), 'float32');
    assert.equal(stored('float32', 'bfloat16'), 'float32');
  });
});
