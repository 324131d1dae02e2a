import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { claimPorts } from '#deploy/local/ports.ts';
import { BACKBONE, GATEWAY } from '#deploy/local/roles.ts';
import { within } from '#test/bounded.ts';
import { freePort } from '#test/free-port.ts';
import { Lines } from '#test/lines.ts';
import { scripted } from './scripted-role.ts';

async function hold(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function claim(port: number, signal = new AbortController().signal) {
  const stream = new PassThrough();
  const processes = [await scripted('gateway', { behaviour: 'obey', port, drainTimeoutS: 0 })];
  const lines = new Lines(stream);
  const claimed = within(claimPorts(processes, { log: pino(stream), signal }), {
    what: 'the ports or a refusal',
    trace: () => lines.seen,
  });
  return { claimed, lines };
}

describe('claimPorts', () => {
  it('waits for a port that is about to be let go', async () => {
    const port = await freePort();
    const holder = await hold(port);
    const { claimed, lines } = await claim(port);
    await lines.match(/is in use; waiting at most 2 s/);

    holder.close();

    await claimed;
  });

  it('names the key of a port that stays in use', async (t) => {
    const port = await freePort();
    const holder = await hold(port);
    t.after(() => holder.close());

    const { claimed } = await claim(port);

    await assert.rejects(claimed, {
      message: /EADDRINUSE.*set the key "port" in the section "gateway"/,
    });
  });

  it('refuses port 0, under which nobody would find the process', async () => {
    for (const { role, values, key } of [
      { role: GATEWAY, values: { host: '127.0.0.1', port: 0 }, key: 'port' },
      { role: BACKBONE, values: { listen: '127.0.0.1:0' }, key: 'listen' },
    ]) {
      const { signal } = new AbortController();

      const claimed = claimPorts([{ role, name: role.name, values, follows: [] }], {
        log: pino({ enabled: false }),
        signal,
      });

      const message = new RegExp(`^key "${key}" in the section "${role.name}": .*port 0`);
      await assert.rejects(claimed, { message });
    }
  });

  it('ends its wait when the mesh is stopped', async (t) => {
    const port = await freePort();
    const holder = await hold(port);
    t.after(() => holder.close());
    const abort = new AbortController();
    const { claimed, lines } = await claim(port, abort.signal);
    await lines.match(/is in use/);

    abort.abort();

    await claimed;
  });
});
