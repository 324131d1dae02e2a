import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { readNumerics } from '#backbone/checkpoint/numerics.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';

const MODEL = join(PACKAGE_ROOT, 'test', 'testdata', 'glm4-tiny');

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

describe('readNumerics', () => {
  it('names all that decides the bits of an answer', async () => {
    const files = await readModelFiles(MODEL, undefined);
    const description = { ...new FakeDecoder().description, kvCacheDtype: 'int8' } as const;

    const numerics = await readNumerics(
      { model: MODEL, defaultStructuredOutput: 'phone_action' },
      { description, isa: 'avx2', numRanks: 2 },
      { ...files, chatTemplate: { text: '{{ messages }}', path: 'x.jinja', unused: [] } },
    );

    assert.deepEqual(numerics, {
      isa: 'avx2',
      weightDtype: description.weightDtype,
      kvDtype: description.kvCacheDtype,
      quantization: description.quantization,
      numRanks: 2,
      tokenizerHash: sha256(readFileSync(join(MODEL, 'tokenizer.json'))),
      templateHash: sha256('{{ messages }}'),
      defaultForm: 'phone_action',
    });
  });

  it('has no hash of a template that is not there, and no form if there is none', async () => {
    const files = await readModelFiles(MODEL, undefined);
    const { description } = new FakeDecoder();
    const options = { model: MODEL, defaultStructuredOutput: 'none' } as const;

    const decoder = { description, isa: '', numRanks: 1 };
    const { templateHash, defaultForm } = await readNumerics(options, decoder, {
      ...files,
      chatTemplate: null,
    });

    assert.equal(templateHash, '');
    assert.equal(defaultForm, '');
  });
});
