import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { type CertificateFiles, skipWithoutOpenssl, writeCertificate } from '#test/certificate.ts';
import { follow, logged, putter, recordOf, register, restart } from './harness.ts';
import { registryAt, skipWithoutEtcd, startEtcd } from './real-etcd.ts';

/** What the mesh logs in with; both hold characters that an address has to encode. */
const USER = { name: 'mesh', password: 'p@ss/1:2' };
const LOGIN = `${encodeURIComponent(USER.name)}:${encodeURIComponent(USER.password)}`;

/** Makes a certificate whose files are removed with the test. */
async function certificateFor(test: TestContext): Promise<CertificateFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'autoglm-certificate-'));
  test.after(() => rm(folder, { recursive: true }));
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeCertificate(files);
  return files;
}

/** Starts an etcd that wants a login; its user may read and write the mesh's keys alone. */
async function startWithLogin(test: TestContext) {
  const [etcd] = await startEtcd(test);
  assert(etcd !== undefined);
  const ask = async (path: string, body: object) => {
    const request = { method: 'POST', body: JSON.stringify(body) };
    const response = await fetch(`http://${etcd.address}/v3/auth/${path}`, request);
    assert(response.ok, `${path}: ${await response.text()}`);
  };
  const bytes = (text: string) => Buffer.from(text).toString('base64');
  // The end of a range is the key after all that begin with "/autoglm/".
  const perm = { permType: 'READWRITE', key: bytes('/autoglm/'), range_end: bytes('/autoglm0') };
  await ask('user/add', { name: 'root', password: 'root' });
  await ask('user/grant', { user: 'root', role: 'root' });
  await ask('role/add', { name: 'mesh' });
  await ask('role/grant', { name: 'mesh', perm });
  await ask('user/add', USER);
  await ask('user/grant', { user: USER.name, role: 'mesh' });
  await ask('enable', {});
  return { etcd, registry: (login: string) => `etcd://${login}@${etcd.address}` };
}

describe('an etcd that encrypts', { skip: skipWithoutEtcd || skipWithoutOpenssl }, () => {
  it('is used if the given authorities vouch for it', async (test) => {
    const certificate = await certificateFor(test);
    const [etcd] = await startEtcd(test, { certificate });
    assert(etcd !== undefined);
    const registry = `etcds://${etcd.address}?ca=${certificate.cert}`;
    const view = follow(test, registry);
    const { close } = register(test, registry, 'a:1');

    await view.until(['a:1']);
    await close();

    await view.until([]);
  });

  it('is refused if they do not, and the log says why', async (test) => {
    const certificate = await certificateFor(test);
    const other = await certificateFor(test);
    const [etcd] = await startEtcd(test, { certificate });
    assert(etcd !== undefined);

    const view = follow(test, `etcds://${etcd.address}?ca=${other.cert}`);

    await view.logged(/cannot be followed: .*certificate/);
    assert.deepEqual(view.lists, []);
  });

  it('is not used by a client that does not encrypt', async (test) => {
    const certificate = await certificateFor(test);
    const [etcd] = await startEtcd(test, { certificate });
    assert(etcd !== undefined);

    const view = follow(test, registryAt([etcd.address]));

    await view.logged(/cannot be followed/);
    assert.deepEqual(view.lists, []);
  });
});

describe('an etcd that wants a login', { skip: skipWithoutEtcd, timeout: 120_000 }, () => {
  it('is used by who has one', async (test) => {
    const { registry } = await startWithLogin(test);
    const view = follow(test, registry(LOGIN));
    const { close } = register(test, registry(LOGIN), 'a:1');

    await view.until(['a:1']);
    await close();

    await view.until([]);
  });

  it('is logged in to anew after it forgot who had', async (test) => {
    const { etcd, registry } = await startWithLogin(test);
    const view = follow(test, registry(LOGIN));
    const { lines } = register(test, registry(LOGIN), 'a:1');
    await view.until(['a:1']);

    // Its tokens are in its memory alone.
    await restart(etcd, { lines, view });
    await putter(test, registry(LOGIN))('b', recordOf('b:1'));

    await view.until(['a:1', 'b:1']);
  });

  it('says that a password is wrong, and does not repeat it', async (test) => {
    const { registry } = await startWithLogin(test);

    const view = follow(test, registry('mesh:wrong-secret'));
    const { lines } = register(test, registry('mesh:wrong-secret'), 'a:1');

    await view.logged(/cannot be followed: .*invalid user ID or password/);
    await logged(lines, /gives no lease: .*invalid user ID or password/);
    const said = [...view.lines, ...lines].map(({ msg }) => msg).join('\n');
    assert.doesNotMatch(said, /wrong-secret/);
    assert.deepEqual(view.lists, []);
  });

  it('says that a login is missing', async (test) => {
    const { etcd } = await startWithLogin(test);

    const view = follow(test, registryAt([etcd.address]));

    await view.logged(/cannot be followed: .*user name is empty/);
    assert.deepEqual(view.lists, []);
  });

  it('says that a user may not see the keys of the mesh', async (test) => {
    const { registry } = await startWithLogin(test);

    const view = follow(test, `${registry(LOGIN)}/elsewhere`);

    await view.logged(/cannot be followed: .*permission denied/);
    assert.deepEqual(view.lists, []);
  });
});
