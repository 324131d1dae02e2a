import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  differences,
  type FileChecksum,
  modelChecksums,
  parseChecksums,
  type ReadProgress,
  wholeChecksum,
} from '#deploy/cli/model-checksums.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { refusal } from '#test/refusal.ts';

const MODEL = join(PACKAGE_ROOT, 'test/testdata/glm4-tiny');
const A = { name: 'a', sha256: 'a'.repeat(64) };
const B = { name: 'b', sha256: 'b'.repeat(64) };

async function checksumsOf(directory: string): Promise<{
  readonly files: readonly FileChecksum[];
  readonly progress: readonly ReadProgress[];
}> {
  const files: FileChecksum[] = [];
  const progress: ReadProgress[] = [];
  for await (const file of modelChecksums(directory, (read) => progress.push(read))) {
    files.push(file);
  }
  return { files, progress };
}

describe('modelChecksums', () => {
  it('gives what sha256sum gives, and counts every byte', async () => {
    const { files, progress } = await checksumsOf(MODEL);
    const names = files.map(({ name }) => name);
    const text = execFileSync('sha256sum', names, { cwd: MODEL, encoding: 'utf8' });

    assert.ok(names.includes('model.safetensors'));
    assert.deepEqual(parseChecksums(text, 'list'), files);
    assert.equal(progress.at(-1)?.numBytes, progress.at(-1)?.totalBytes);
  });

  it('refuses a folder that is not there', async () => {
    await assert.rejects(
      checksumsOf(join(MODEL, 'missing')),
      refusal('INVALID_REQUEST', /is no model directory/),
    );
  });
});

describe('wholeChecksum', () => {
  it('follows names and contents', () => {
    const all = [wholeChecksum([A, B]), wholeChecksum([A]), wholeChecksum([{ ...A, name: 'c' }])];

    assert.equal(new Set(all).size, 3);
  });
});

describe('differences', () => {
  it('names what differs, is missing, or is not in the list', () => {
    const changed = { ...B, sha256: A.sha256 };

    assert.deepEqual(differences([A, B], [A, B]), []);
    assert.deepEqual(differences([A, changed], [B, { ...A, name: 'c' }]), [
      'b: differs',
      'c: missing',
      'a: not in the list',
    ]);
  });
});

describe('parseChecksums', () => {
  it('reads binary marks, folders and comments', () => {
    const text = `# model\n${A.sha256.toUpperCase()} *./a\n\n${B.sha256}  b\n`;

    assert.deepEqual(parseChecksums(text, 'list'), [A, B]);
  });

  it('refuses other lines by name', () => {
    assert.throws(
      () => parseChecksums('model.safetensors', 'list'),
      refusal('INVALID_REQUEST', /list: expected lines of sha256sum/),
    );
  });
});
