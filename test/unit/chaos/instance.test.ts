import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Instance, type InstanceRole, NGINX } from '#test/chaos/mesh/instance.ts';
import { KeptProcess } from '#test/chaos/mesh/kept-process.ts';

/** Makes an instance whose process is not started and always ready. */
function instanceOf(
  role: InstanceRole,
  number: number,
  askers: readonly Instance[] = [],
): Instance {
  const name = `${role}-${number}`;
  return new Instance({
    name,
    role,
    port: 8000 + number,
    process: new KeptProcess({
      name,
      command: '',
      args: [],
      logPath: '',
      hasChannel: false,
      endSignal: 'SIGKILL',
    }),
    isReady: () => Promise.resolve(true),
    links: [],
    askers: () => askers,
  });
}

const nothing = () => Promise.resolve();

describe('Instance', () => {
  it('is healthy once everybody who asks it has sent it something', () => {
    const gateways = [instanceOf('gateway', 1), instanceOf('gateway', 2)];
    const backbone = instanceOf('llm-backbone', 1, gateways);

    backbone.noteUse('gateway-1');
    assert.equal(backbone.isHealthy, false);
    backbone.noteUse('gateway-2');

    assert.equal(backbone.isHealthy, true);
  });

  it('is not healthy during a fault, nor after it until it is used again', async () => {
    const gateway = instanceOf('gateway', 1);
    gateway.noteUse(NGINX);
    assert.equal(gateway.isHealthy, true);

    await gateway.suffer(async () => {
      gateway.noteUse(NGINX);
      assert.equal(gateway.isTouched, true);
      assert.equal(gateway.isHealthy, false);
    });
    assert.equal(gateway.isHealthy, false);
    gateway.noteUse(NGINX);

    assert.equal(gateway.isHealthy, true);
  });

  it('needs to be used again by an asker that came back, and not by one that is away', async () => {
    const gateways = [instanceOf('gateway', 1), instanceOf('gateway', 2)];
    const backbone = instanceOf('llm-backbone', 1, gateways);
    for (const { name } of gateways) backbone.noteUse(name);

    await gateways[0]?.suffer(async () => assert.equal(backbone.isHealthy, true));
    assert.equal(backbone.isHealthy, false);
    backbone.noteUse('gateway-1');

    assert.equal(backbone.isHealthy, true);
  });

  it('stays touched until the process is ready, and when a fault fails', async () => {
    const gateway = instanceOf('gateway', 1);

    await assert.rejects(
      gateway.suffer(() => Promise.reject(new Error('no such process'))),
      /no such process/,
    );
    await gateway.suffer(nothing);

    assert.equal(gateway.isTouched, false);
  });
});
