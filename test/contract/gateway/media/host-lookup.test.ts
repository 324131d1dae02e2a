import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { createHostLookup, type HostLookupOptions } from '#gateway/media/host-lookup.ts';
import { within } from '#test/bounded.ts';
import { type NameRecords, type NameServer, startNameServer } from './name-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'autoglm-lookup-'));
after(() => rmSync(folder, { recursive: true }));
const hostsFile = join(folder, 'hosts');
const resolverFile = join(folder, 'resolv.conf');
writeFileSync(hostsFile, '10.0.0.7 local.example\n');
writeFileSync(resolverFile, 'search lan.example\n');

const servers: NameServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function lookUp(records: NameRecords, options: Partial<HostLookupOptions> = {}) {
  const server = await startNameServer(records);
  servers.push(server);
  const look = createHostLookup({
    timeoutMs: 2000,
    searchesDomains: false,
    servers: [server.address],
    hostsFile,
    resolverFile,
    ...options,
  });
  return { look, server };
}

describe('createHostLookup', () => {
  it('returns the addresses of both families', async () => {
    const { look } = await lookUp({
      'media.example': { four: '10.0.0.1', six: 'fd00:0:0:0:0:0:0:1' },
    });

    assert.deepEqual(await look('media.example'), [
      { address: '10.0.0.1', family: 4 },
      { address: 'fd00::1', family: 6 },
    ]);
  });

  it('returns the one family there is', async () => {
    const { look } = await lookUp({ 'media.example': { six: 'fd00:0:0:0:0:0:0:1' } });

    assert.deepEqual(await look('media.example'), [{ address: 'fd00::1', family: 6 }]);
  });

  it('asks no server for a name of the hosts file', async () => {
    const { look, server } = await lookUp({});

    assert.deepEqual(await look('local.example'), [{ address: '10.0.0.7', family: 4 }]);
    assert.deepEqual(server.questions, []);
  });

  it('returns nothing for a name that does not exist', async () => {
    const { look } = await lookUp({});

    assert.deepEqual(await look('nobody.example'), []);
  });

  it('completes a name by the search domains only where it is told to', async () => {
    const records = { 'media.lan.example': { four: '10.0.0.2' } };
    const intranet = await lookUp(records, { searchesDomains: true });
    const internet = await lookUp(records);

    assert.deepEqual(await intranet.look('media'), [{ address: '10.0.0.2', family: 4 }]);
    assert.deepEqual(await internet.look('media'), []);
  });

  it('gives up a name that nobody answers', async () => {
    const { look } = await lookUp({ 'slow.example': 'silent' }, { timeoutMs: 50 });

    await assert.rejects(look('slow.example'), { code: /^E(?:CANCELLED|TIMEOUT)$/ });
  });

  it('answers at once while a hundred names are not answered', async () => {
    const silent = Array.from({ length: 100 }, (_, i) => `slow${i}.example`);
    const { look } = await lookUp({
      ...Object.fromEntries(silent.map((name) => [name, 'silent' as const])),
      'media.example': { four: '10.0.0.1', six: 'fd00:0:0:0:0:0:0:1' },
    });
    const hanging = silent.map((name) => look(name).catch(() => 'gave up'));
    const answer = within(look('media.example'), { what: 'an answer', boundMs: 1000 });

    assert.equal((await answer).length, 2);
    assert.deepEqual(new Set(await Promise.all(hanging)), new Set(['gave up']));
  });
});
