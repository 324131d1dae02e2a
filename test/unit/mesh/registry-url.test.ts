import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { nameOfRole, parseRegistry, registryTitle } from '#mesh/registry-url.ts';
import { refusal, refusalOf } from '#test/refusal.ts';

describe('parseRegistry', () => {
  it('reads the members of an etcd cluster and the beginning of its keys', () => {
    assert.deepEqual(parseRegistry('etcd://a:2379,[::1]:2380/team/mesh/'), {
      kind: 'etcd',
      endpoints: ['a:2379', '[::1]:2380'],
      prefix: '/team/mesh',
      isSecure: false,
    });
  });

  it('keeps the keys of a mesh below /autoglm unless it is told otherwise', () => {
    const registry = parseRegistry('etcd://a:2379');

    assert(registry.kind === 'etcd');
    assert.equal(registry.prefix, '/autoglm');
  });

  it('reads a user, a password and authorities to trust', () => {
    assert.deepEqual(parseRegistry('etcds://mesh:p%40ss%2F@a:2379?ca=/etc/ca.pem'), {
      kind: 'etcd',
      endpoints: ['a:2379'],
      prefix: '/autoglm',
      isSecure: true,
      user: { name: 'mesh', password: 'p@ss/' },
      caFile: '/etc/ca.pem',
    });
  });

  it('reads a Kubernetes namespace with the services of the roles', () => {
    const registry = parseRegistry('kubernetes://phones/autoglm-{role}');

    assert.deepEqual(registry, {
      kind: 'kubernetes',
      namespace: 'phones',
      service: 'autoglm-{role}',
    });
    assert.equal(nameOfRole('autoglm-{role}', 'llm-backbone'), 'autoglm-llm-backbone');
  });

  it('reads a domain name with a port, or one of SRV records', () => {
    assert.deepEqual(parseRegistry('dns://{role}.mesh.svc:8051'), {
      kind: 'dns',
      name: '{role}.mesh.svc',
      port: 8051,
    });
    assert.deepEqual(parseRegistry('dns://_grpc._tcp.{role}.mesh.svc'), {
      kind: 'dns',
      name: '_grpc._tcp.{role}.mesh.svc',
    });
  });

  for (const { text, says } of [
    { text: 'consul://a:8500', says: /got the scheme "consul"; write etcd:\/\/HOST:PORT/ },
    { text: '127.0.0.1:2379', says: /got the scheme ""; write etcd:/ },
    { text: 'etcd://', says: /an etcd registry is etcd:\/\/HOST:PORT/ },
    { text: 'etcd://a', says: /"a" is not host:port/ },
    { text: 'etcd://a:2379,b', says: /"b" is not host:port/ },
    { text: 'etcd://a:2379?ca=x', says: /ca= is for encrypted etcd/ },
    { text: 'etcd://u:%zz@a:2379', says: /percent-encoded/ },
    { text: 'kubernetes://phones', says: /a Kubernetes registry is kubernetes:/ },
    { text: 'kubernetes://phones/autoglm', says: /SERVICE-OF-\{role\}/ },
    { text: 'dns://mesh.svc:8051', says: /a DNS registry is dns:\/\/\{role\}/ },
    { text: 'dns://{role}.mesh.svc', says: /a DNS registry is/ },
    { text: 'dns://{role}.mesh.svc:70000', says: /a DNS registry is/ },
  ]) {
    it(`refuses ${text}, naming the key`, () => {
      const check = refusal('INVALID_REQUEST', says, 'registry');

      assert.throws(() => parseRegistry(text), check);
      assert.match(refusalOf(() => parseRegistry(text)).message, /^key "registry": /);
    });
  }

  it('repeats no password, neither in a refusal nor in a title', () => {
    const { message } = refusalOf(() => parseRegistry('etcd://mesh:geheim@a'));
    const title = registryTitle(parseRegistry('etcd://mesh:geheim@a:1,b:2'));

    assert.doesNotMatch(message, /geheim/);
    assert.equal(title, 'etcd at a:1, b:2');
  });
});
