import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fastify, { type FastifyInstance } from 'fastify';
import { isOpenPath } from '#gateway/http/auth.ts';
import { answerErrors } from '#gateway/http/errors-to-http.ts';
import { consoleRoutes } from '#gateway/routes/views/console.ts';
import { readConsoleFiles } from '#gateway/routes/views/console-files.ts';
import { memoryLog } from '#test/memory-log.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

const PAGE = '<!doctype html><title>x</title>';
const SCRIPT = 'console.log(1);'.repeat(100);

function builtFolder(): string {
  const folder = scratchFolder('console');
  mkdirSync(join(folder, 'console'));
  writeFileSync(join(folder, 'index.html'), PAGE);
  writeFileSync(join(folder, 'console', 'index-1a2b.js'), SCRIPT);
  writeFileSync(join(folder, 'console', 'screen-3c4d.png'), Uint8Array.of(1, 2, 3));
  return folder;
}

let app: FastifyInstance;

describe('the files of the console', () => {
  beforeEach(() => {
    const files = readConsoleFiles(builtFolder());
    assert(files !== undefined);
    app = fastify();
    answerErrors(app, memoryLog().log);
    for (const { method, path, handle } of consoleRoutes(files)) {
      app.route({ method, url: path, handler: (request, reply) => handle(request, reply) });
    }
  });
  afterEach(() => app.close());

  it('are a page that loads nothing from elsewhere and runs no text', async () => {
    const { headers, body, statusCode } = await app.inject('/');

    assert.deepEqual([statusCode, body], [200, PAGE]);
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    const policy = String(headers['content-security-policy']);
    assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });

  it('are asked for anew only if they have changed', async () => {
    const page = await app.inject('/');
    const script = await app.inject('/console/index-1a2b.js');
    assert.equal(page.headers['cache-control'], 'no-cache');
    assert.equal(script.headers['cache-control'], 'public, max-age=31536000, immutable');

    for (const etag of [page.headers.etag, `W/${page.headers.etag}`, `"x", ${page.headers.etag}`]) {
      const again = await app.inject({ url: '/', headers: { 'if-none-match': String(etag) } });
      assert.deepEqual([again.statusCode, again.body], [304, '']);
      assert.equal(again.headers.etag, page.headers.etag);
    }
    const other = await app.inject({ url: '/', headers: { 'if-none-match': '"other"' } });
    assert.equal(other.statusCode, 200);
  });

  it('are compressed for who takes it, under a tag of their own', async () => {
    const url = '/console/index-1a2b.js';
    const plain = await app.inject(url);
    for (const accepted of ['gzip', 'br, gzip;q=0.5', '*']) {
      const zipped = await app.inject({ url, headers: { 'accept-encoding': accepted } });
      assert.equal(zipped.headers['content-encoding'], 'gzip', accepted);
      assert.equal(gunzipSync(zipped.rawPayload).toString(), SCRIPT);
      assert.notEqual(zipped.headers.etag, plain.headers.etag);
      assert.equal(zipped.headers['vary'], 'accept-encoding');
    }
    for (const accepted of ['identity', 'br', 'gzip;q=0', 'gzip; q=0.0, br']) {
      const answer = await app.inject({ url, headers: { 'accept-encoding': accepted } });
      assert.equal(answer.headers['content-encoding'], undefined, accepted);
    }
    const picture = await app.inject({
      url: '/console/screen-3c4d.png',
      headers: { 'accept-encoding': 'gzip' },
    });
    assert.deepEqual(
      [picture.headers['content-encoding'], picture.rawPayload.length],
      [undefined, 3],
    );
  });

  it('answer HEAD with the same headers and no body', async () => {
    const [get, head] = [await app.inject('/'), await app.inject({ method: 'HEAD', url: '/' })];

    assert.deepEqual([head.statusCode, head.body], [200, '']);
    for (const name of ['etag', 'content-length', 'content-type', 'cache-control']) {
      assert.equal(head.headers[name], get.headers[name], name);
    }
  });

  it('are those of the build and no others', async () => {
    for (const path of ['/console/', '/console/none.js', '/console/..%2f..%2fpackage.json']) {
      assert.equal((await app.inject(path)).statusCode, 404, path);
    }
  });

  it('need no key, and nothing beside them is open by their name', () => {
    assert(isOpenPath('/console/index-1a2b.js'));
    assert(!isOpenPath('/consoles'));
    assert(!isOpenPath('/v1/autoglm/mesh'));
  });
});

describe('readConsoleFiles', () => {
  it('finds nothing where nothing is built', () => {
    assert.equal(readConsoleFiles(scratchFolder('console')), undefined);
  });

  it('refuses a kind of file that it has no type for', () => {
    const folder = builtFolder();
    writeFileSync(join(folder, 'console', 'x.exe'), '');

    assert.throws(() => readConsoleFiles(folder), /x\.exe: the console serves no such kind/);
  });
});
