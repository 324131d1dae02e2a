import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { LogFile } from '#mesh/log/log-file.ts';
import { refusalOf } from '#test/refusal.ts';

const folder = mkdtempSync(join(tmpdir(), 'log-file-'));
const skip = process.platform === 'linux' ? false : 'Linux only';

function refusedPath(path: string): string {
  const { param, message } = refusalOf(() => new LogFile(path));
  assert.equal(param, 'logPath');
  return message;
}

const append = (file: LogFile, line: string) => file.write(Buffer.from(line));

describe('LogFile', () => {
  after(() => rmSync(folder, { recursive: true }));

  it('appends, and makes the folders of its path', () => {
    const path = join(folder, 'a', 'b', 'mesh.log');

    append(new LogFile(path), 'one\n');
    append(new LogFile(path), 'two\n');

    assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
  });

  it('goes on at the end of a file that was cut to nothing', () => {
    const path = join(folder, 'rotated.log');
    const file = new LogFile(path);
    append(file, 'one\n');

    writeFileSync(path, '');
    append(file, 'two\n');

    assert.equal(readFileSync(path, 'utf8'), 'two\n');
  });

  it('opens its path again, and keeps what it has if it cannot', () => {
    const path = join(folder, 'again', 'mesh.log');
    const file = new LogFile(path);
    append(file, 'one\n');

    renameSync(path, `${path}.1`);
    file.reopen();
    append(file, 'two\n');
    renameSync(path, `${path}.2`);
    mkdirSync(path);
    assert.throws(() => file.reopen(), /EISDIR/);
    append(file, 'three\n');

    assert.equal(readFileSync(`${path}.1`, 'utf8'), 'one\n');
    assert.equal(readFileSync(`${path}.2`, 'utf8'), 'two\nthree\n');
  });

  it('ends a line that a predecessor left in its middle', () => {
    const path = join(folder, 'torn.log');
    writeFileSync(path, 'one\ntw');

    append(new LogFile(path), 'three\n');

    assert.equal(readFileSync(path, 'utf8'), 'one\ntw\nthree\n');
  });

  it('refuses a folder', () => {
    mkdirSync(join(folder, 'folder'));

    assert.match(refusedPath(join(folder, 'folder')), /^key "log-path": EISDIR.*name a file/);
  });

  it('refuses a path below a file', () => {
    writeFileSync(join(folder, 'plain'), '');

    assert.match(
      refusedPath(join(folder, 'plain', 'mesh.log')),
      /^key "log-path": E(NOTDIR|EXIST)/,
    );
  });

  it('refuses a pipe that nobody reads instead of waiting for a reader', () => {
    const path = join(folder, 'unread');
    execFileSync('mkfifo', [path]);

    assert.match(refusedPath(path), /^key "log-path": .* is a pipe or a socket and not a file/);
  });

  it('refuses a pipe that somebody reads: at the next start the reader may be gone', () => {
    const path = join(folder, 'read');
    execFileSync('mkfifo', [path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);

    assert.match(refusedPath(path), /^key "log-path": .* is a pipe and not a file/);
    closeSync(reader);
  });

  it('starts on a full disk and says so at every write', { skip }, () => {
    const file = new LogFile('/dev/full');

    assert.throws(() => append(file, 'one\n'), { code: 'ENOSPC' });
    assert.throws(() => append(file, 'one\n'), { code: 'ENOSPC' });
  });

  it('accepts the place where everything is forgotten', { skip }, () => {
    assert.equal(append(new LogFile('/dev/null'), 'one\n'), 4);
  });
});
