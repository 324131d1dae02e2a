import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isAnyAddress } from '#gateway/media/address-rules.ts';
import { ByteBudget } from '#gateway/media/byte-budget.ts';
import { GuardedFetch } from '#gateway/media/guarded-fetch.ts';
import { skipWithoutOpenssl, writeCertificate } from '#test/certificate.ts';
import { refusal } from '#test/refusal.ts';

const PARAM = 'messages[0].content[0].image_url.url';

/** Runs openssl in a folder. */
function openssl(folder: string, line: string): void {
  execFileSync('openssl', line.split(' '), { cwd: folder, stdio: 'ignore' });
}

/** Serves an image with the certificate `cert.pem` that `write` has made in a folder; returns the port. */
async function serve(test: TestContext, write: (folder: string) => void): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'certificates-'));
  test.after(() => rm(folder, { recursive: true }));
  write(folder);
  const [cert, key] = await Promise.all(
    ['cert.pem', 'key.pem'].map((name) => readFile(join(folder, name))),
  );
  assert(cert !== undefined && key !== undefined);
  const server = createServer({ cert, key }, (_, response) => response.end('an image'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const bound = server.address();
  assert(bound !== null && typeof bound === 'object');
  return bound.port;
}

function fetchFrom(url: string): Promise<Buffer> {
  const fetcher = new GuardedFetch({
    isAllowedAddress: isAnyAddress,
    intranet: true,
    allowedDomains: [],
    timeoutMs: 10_000,
    connectTimeoutMs: 5000,
    maxConcurrent: 2,
    resolveHost: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]),
  });
  const limits = { maxItemBytes: 1000, maxTotalBytes: 1000 };
  return fetcher.fetch(new URL(url), {
    param: PARAM,
    budget: new ByteBudget(limits).item(PARAM),
    asker: { clientId: 'client' },
    signal: new AbortController().signal,
  });
}

/** Writes a certificate of an authority of its own. */
function signed(folder: string): void {
  const key = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';
  openssl(folder, `req -x509 ${key} -keyout ca-key.pem -out ca.pem -days 2 -subj /CN=authority`);
  openssl(folder, `req ${key} -keyout key.pem -out cert.csr -subj /CN=pictures.example`);
  openssl(
    folder,
    `x509 -req -in cert.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem -days 2`,
  );
}

describe('A certificate of a media server', { skip: skipWithoutOpenssl }, () => {
  const cases = [
    {
      name: 'is self-signed',
      write: (folder: string) =>
        writeCertificate({ cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }),
      says: /its server's certificate is self-signed/,
    },
    {
      name: 'is of an authority that nobody knows',
      write: signed,
      says: /its server's certificate is of an authority that is not known here/,
    },
  ];
  for (const { name, write, says } of cases) {
    it(`${name}: the refusal says so`, async (test) => {
      const port = await serve(test, write);

      await assert.rejects(
        fetchFrom(`https://pictures.example:${port}/`),
        refusal('MEDIA_FETCH_FAILED', says, PARAM),
      );
    });
  }
});
