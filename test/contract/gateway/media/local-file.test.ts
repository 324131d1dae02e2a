import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { ByteBudget } from '#gateway/media/byte-budget.ts';
import { readLocalFile } from '#gateway/media/local-file.ts';
import type { ErrorReason } from '#mesh/errors.ts';
import { refusal } from '#test/refusal.ts';

const PARAM = 'messages[0].content[0].image_url.url';

describe('readLocalFile', () => {
  let folder = '';
  let root = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'autoglm-media-'));
    root = join(folder, 'media');
    mkdirSync(join(root, 'inner'), { recursive: true });
    mkdirSync(join(folder, 'media-secret'));
    writeFileSync(join(root, 'a.png'), 'media');
    writeFileSync(join(root, 'inner', '截图 1.png'), 'inner media');
    writeFileSync(join(root, 'large.png'), Buffer.alloc(101));
    writeFileSync(join(folder, 'secret'), 'secret');
    writeFileSync(join(folder, 'media-secret', 'a.png'), 'secret');
    symlinkSync('inner/截图 1.png', join(root, 'link-inside'));
    symlinkSync('../secret', join(root, 'link-outside'));
    symlinkSync('..', join(root, 'folder-outside'));
    symlinkSync('/nowhere/at/all', join(root, 'dangling'));
    symlinkSync(root, join(folder, 'linked-root'));
    execFileSync('mkfifo', [join(root, 'pipe')]);
  });

  after(() => rmSync(folder, { recursive: true }));

  function read(url: URL, allowed: string | undefined = root): Promise<Buffer> {
    const budget = new ByteBudget({ maxItemBytes: 100, maxTotalBytes: 100 }).item(PARAM);
    return readLocalFile(url, allowed, {
      param: PARAM,
      budget,
      signal: new AbortController().signal,
    });
  }

  const fileUrl = (...path: readonly string[]) => pathToFileURL(join(...path));

  async function refused(
    reading: Promise<unknown>,
    message: RegExp,
    reason: ErrorReason = 'INVALID_REQUEST',
  ): Promise<void> {
    await assert.rejects(reading, (error: unknown) => {
      refusal(reason, message, PARAM)(error);
      assert(!String(error).includes(folder), String(error));
      return true;
    });
  }

  it('reads a file below the allowed folder', async () => {
    assert.equal((await read(fileUrl(root, 'a.png'))).toString(), 'media');
  });

  it('reads a file whose name is percent-encoded', async () => {
    assert.equal((await read(fileUrl(root, 'inner', '截图 1.png'))).toString(), 'inner media');
  });

  it('follows a symbolic link that stays inside', async () => {
    assert.equal((await read(fileUrl(root, 'link-inside'))).toString(), 'inner media');
  });

  it('reads below an allowed folder that is itself a symbolic link', async () => {
    const linked = join(folder, 'linked-root');

    assert.equal((await read(fileUrl(linked, 'a.png'), linked)).toString(), 'media');
    assert.equal((await read(fileUrl(root, 'a.png'), linked)).toString(), 'media');
  });

  it('reads nothing when no folder is allowed', async () => {
    const budget = new ByteBudget({ maxItemBytes: 100, maxTotalBytes: 100 }).item(PARAM);
    const call = { param: PARAM, budget, signal: new AbortController().signal };

    await refused(
      readLocalFile(fileUrl(root, 'a.png'), undefined, call),
      /allowed-local-media-path/,
    );
  });

  const outside = /lies outside the folder/;

  for (const [what, path] of [
    ['a file beside the folder', ['secret']],
    ['a folder whose name begins alike', ['media-secret', 'a.png']],
    ['a missing file elsewhere, in the same words', ['missing']],
    ['a symbolic link to a file outside', ['media', 'link-outside']],
    ['a path through a symbolic link to a folder outside', ['media', 'folder-outside', 'secret']],
    ['the folder itself', ['media']],
  ] as const) {
    it(`refuses ${what}`, async () => {
      await refused(read(fileUrl(folder, ...path)), outside);
    });
  }

  it('refuses a path that climbs out', async () => {
    await refused(read(new URL(`file://${root}/../secret`)), outside);
    await refused(read(new URL(`file://${root}/%2e%2e/secret`)), outside);
  });

  it('refuses an encoded slash', async () => {
    await refused(read(new URL(`file://${root}/..%2fsecret`)), /absolute path and no host/);
  });

  it('refuses an encoded NUL', async () => {
    await refused(read(new URL(`file://${root}/a.png%00.txt`)), /no such file/);
  });

  it('refuses a host', async () => {
    await refused(read(new URL('file://server/share/a.png')), /absolute path and no host/);
  });

  for (const name of ['missing.png', 'dangling']) {
    it(`reports ${name} as no file`, async () => {
      await refused(read(fileUrl(root, name)), /no such file/);
    });
  }

  it('refuses a folder', async () => {
    await refused(read(fileUrl(root, 'inner')), /not that of a regular file/);
  });

  it('refuses a pipe without waiting for its writer', async () => {
    await refused(read(fileUrl(root, 'pipe')), /not that of a regular file/);
  });

  it('refuses a file over the limit', async () => {
    await refused(read(fileUrl(root, 'large.png')), /larger than/, 'PAYLOAD_TOO_LARGE');
  });
});
