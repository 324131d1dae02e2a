import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { checkModelDirectory } from '#mesh/model/model-directory.ts';
import { refusal } from '#test/refusal.ts';

const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
const WHOLE = { 'config.json': '{}', 'model.safetensors': 'weights', 'tokenizer.json': '{}' };

describe('a model directory', () => {
  let root = '';
  let numMade = 0;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'autoglm-model-'));
  });
  after(() => rm(root, { recursive: true, force: true }));

  async function directory(files: Readonly<Record<string, string>>): Promise<string> {
    const path = join(root, String(numMade++));
    await mkdir(path);
    for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
    return path;
  }

  it('is taken when it has what a process reads', async () => {
    await checkModelDirectory(await directory(WHOLE), { tokenizer: true });
    const { 'tokenizer.json': _, ...tower } = WHOLE;
    await checkModelDirectory(await directory(tower), { tokenizer: false });
  });

  const cases = [
    { name: 'empty', files: {}, message: /: it is empty$/ },
    { name: 'without config.json', files: { 'a.txt': '' }, message: /there is no config\.json/ },
    { name: 'a cache of the hub', files: { snapshots: '' }, message: /below its "snapshots"/ },
    { name: 'of another format', files: { 'a.gguf': '' }, message: /safetensors files only/ },
    {
      name: 'with weights of PyTorch',
      files: { 'config.json': '{}', 'pytorch_model.bin': '' },
      message: /safetensors files only, found pytorch_model\.bin$/,
    },
    {
      name: 'without weights',
      files: { 'config.json': '{}' },
      message: /safetensors files only, and there is none$/,
    },
    {
      name: 'without a tokenizer',
      files: { 'config.json': '{}', 'model.safetensors': 'x' },
      message: /there is no tokenizer\.json/,
    },
    {
      name: 'with a pointer for weights',
      files: { ...WHOLE, 'model.safetensors': POINTER },
      message: /model\.safetensors: is a git-lfs pointer.*"git lfs pull"/,
    },
    {
      name: 'with a pointer for a tokenizer',
      files: { ...WHOLE, 'tokenizer.json': POINTER },
      message: /tokenizer\.json: is a git-lfs pointer/,
    },
    {
      name: 'with an empty file',
      files: { ...WHOLE, 'model-00001-of-00002.safetensors': '' },
      message: /model-00001-of-00002\.safetensors: the file is empty$/,
    },
  ];
  for (const { name, files, message } of cases) {
    it(`is refused when it is ${name}`, async () => {
      const path = await directory(files);

      await assert.rejects(
        checkModelDirectory(path, { tokenizer: true }),
        refusal('INVALID_REQUEST', message, 'model'),
      );
    });
  }

  it('is refused when it is a file, with the directory that was meant', async () => {
    const path = await directory(WHOLE);

    await assert.rejects(
      checkModelDirectory(join(path, 'config.json'), { tokenizer: true }),
      refusal('INVALID_REQUEST', new RegExp(`it is a file; name the directory .*${path}$`)),
    );
  });

  it('is refused when it is not there; a name of the hub with how to get it', async () => {
    const wanted = { tokenizer: true };

    await assert.rejects(
      checkModelDirectory('zai-org/AutoGLM-Phone-9B', wanted),
      refusal(
        'INVALID_REQUEST',
        /"hf download zai-org\/AutoGLM-Phone-9B --local-dir AutoGLM-Phone/,
      ),
    );
    await assert.rejects(
      checkModelDirectory(join(root, 'zai-org/GLM'), wanted),
      refusal('INVALID_REQUEST', /"hf download zai-org\/GLM --local-dir GLM"/),
    );
    await assert.rejects(
      checkModelDirectory(join(root, 'gone'), wanted),
      refusal('INVALID_REQUEST', /gone: it does not exist$/),
    );
  });
});
