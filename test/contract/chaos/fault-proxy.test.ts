import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import { FaultProxy } from '#test/chaos/fault-proxy.ts';
import { PASS } from '#test/chaos/link-fault.ts';
import { FakeClock } from '#test/fake-clock.ts';

/** A socket with what it has received. */
interface End {
  readonly socket: Socket;
  received: string;
  /** Code of the error that ended it; "" if none did. */
  errorCode: string;
  isEnded: boolean;
}

function watched(socket: Socket): End {
  const end: End = { socket, received: '', errorCode: '', isEnded: false };
  socket.setNoDelay(true);
  socket.on('data', (bytes: Buffer) => {
    end.received += bytes.toString();
  });
  socket.on('end', () => {
    end.isEnded = true;
  });
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end.errorCode = error.code ?? error.message;
  });
  return end;
}

/** Waits until a condition holds, looking again after every turn of the sockets. */
async function until(condition: () => boolean, what: string): Promise<void> {
  const turns = async () => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  };
  await within(turns(), { what });
}

/** Lets bytes that are under way on loopback arrive, by sending others around the proxy. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('FaultProxy', () => {
  let server: Server;
  let proxy: FaultProxy;
  let clock: FakeClock;
  const accepted: End[] = [];
  const dialled: End[] = [];
  const seen: string[] = [];
  const clientPorts: (number | undefined)[] = [];

  beforeEach(async () => {
    accepted.length = 0;
    dialled.length = 0;
    seen.length = 0;
    clientPorts.length = 0;
    clock = new FakeClock();
    server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(watched(socket)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert(address !== null && typeof address === 'object');
    proxy = await FaultProxy.open({
      targetPort: address.port,
      clock,
      random: () => 0.5,
      observe: (clientPort) => {
        clientPorts.push(clientPort);
        return (bytes) => seen.push(bytes.toString());
      },
    });
  });
  afterEach(() => {
    proxy.close();
    server.close();
    for (const { socket } of [...accepted, ...dialled]) socket.destroy();
  });

  /** Opens a connection through the proxy; resolves to both of its ends. */
  async function open(): Promise<{ client: End; peer: End }> {
    const client = watched(connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true }));
    dialled.push(client);
    const numBefore = accepted.length;
    await until(() => accepted.length > numBefore, 'a connection');
    const peer = accepted.at(-1);
    assert(peer !== undefined);
    return { client, peer };
  }

  it('passes bytes and ends both ways, and shows what is sent to the server', async () => {
    const { client, peer } = await open();
    assert.deepEqual(clientPorts, [client.socket.localPort]);

    client.socket.end('question');
    await until(() => peer.isEnded, 'the end of the question');
    peer.socket.end('answer');
    await until(() => client.isEnded, 'the end of the answer');

    assert.equal(peer.received, 'question');
    assert.equal(client.received, 'answer');
    assert.equal(seen.join(''), 'question');
    await until(() => proxy.numConnections === 0, 'the proxy to forget the connection');
  });

  it('delays bytes by the latency and a part of the jitter, in order', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'latency', delayMs: 100, jitterMs: 40 });

    client.socket.write('a');
    await until(() => clock.numTimers === 1, 'a delayed byte');
    clock.advance(60);
    client.socket.write('b');
    await until(() => seen.length === 2, 'the second byte');
    clock.advance(59);
    await settle();
    assert.equal(peer.received, '');
    clock.advance(1);
    await until(() => peer.received === 'a', 'the first byte after 120 ms');
    clock.advance(60);
    await until(() => peer.received === 'ab', 'the second byte after 120 ms');
  });

  it('carries no more bytes a second than the bandwidth', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'bandwidth', bytesPerS: 10 });

    client.socket.write('12345');
    await until(() => clock.numTimers === 1, 'delayed bytes');
    clock.advance(499);
    await settle();
    assert.equal(peer.received, '');
    clock.advance(1);
    await until(() => peer.received === '12345', 'five bytes after half a second');
  });

  it('swallows bytes in a black hole with sockets open, and resets them when it closes', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'black hole' });

    client.socket.write('question');
    peer.socket.write('answer');
    await until(() => seen.length === 1, 'the question');
    await settle();
    assert.equal(peer.received + client.received, '');
    assert.equal(client.errorCode + peer.errorCode, '');
    await proxy.set(PASS);

    await until(() => client.errorCode !== '' && peer.errorCode !== '', 'resets');
    assert.equal(client.errorCode, 'ECONNRESET');
  });

  it('holds bytes and ends, and passes them on afterwards', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'hold' });

    client.socket.end('held');
    peer.socket.write('too');
    await until(() => seen.length === 1, 'the bytes at the proxy');
    await settle();
    assert.deepEqual([peer.received, client.received, peer.isEnded], ['', '', false]);
    await proxy.set(PASS);
    await until(() => peer.isEnded && client.received === 'too', 'what was held');

    assert.equal(peer.received, 'held');
  });

  it('resets a connection afterwards that one side left while it was held', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'hold' });

    client.socket.resetAndDestroy();
    await settle();
    assert.equal(peer.errorCode, '');
    await proxy.set(PASS);

    await until(() => peer.errorCode === 'ECONNRESET', 'the reset');
  });

  it('swallows one direction only if it is told so', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'black hole', direction: 'to client' });

    client.socket.write('question');
    await until(() => peer.received === 'question', 'the question');
    peer.socket.write('answer');
    await settle();

    assert.equal(client.received, '');
  });

  it('leaves a connection alone that sent nothing into the black hole', async () => {
    const { client, peer } = await open();

    await proxy.set({ kind: 'black hole' });
    await proxy.set(PASS);
    client.socket.write('question');

    await until(() => peer.received === 'question', 'the question');
  });

  it('lets nobody know of an end inside a black hole', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'black hole' });

    client.socket.end();
    await settle();
    assert.equal(peer.isEnded, false);
    await proxy.set(PASS);

    await until(() => peer.errorCode === 'ECONNRESET', 'the reset');
  });

  it('resets all connections at once, and takes others', async () => {
    const pairs = [await open(), await open()];

    assert.equal(proxy.reset(), 2);

    for (const { client, peer } of pairs) {
      await until(() => client.errorCode === 'ECONNRESET', 'a reset of the client');
      await until(() => peer.errorCode === 'ECONNRESET', 'a reset of the server');
    }
    const { client, peer } = await open();
    client.socket.write('again');
    await until(() => peer.received === 'again', 'bytes on another connection');
  });

  it('half-closes: one side sees the end and is still heard', async () => {
    const { client, peer } = await open();

    proxy.halfClose('to client');
    await until(() => client.isEnded, 'the end');
    client.socket.write('more');

    await until(() => peer.received === 'more', 'bytes of the other direction');
    assert.equal(peer.isEnded, false);
  });

  it('truncates: closes after so many bytes', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'truncate', numBytes: 6, direction: 'to client' });

    peer.socket.write('1234');
    await until(() => client.received === '1234', 'the first bytes');
    peer.socket.write('5678');

    await until(() => client.isEnded, 'the end');
    assert.equal(client.received, '123456');
  });

  it('refuses new connections, keeps those that are open, and takes others afterwards', async () => {
    const { client, peer } = await open();
    await proxy.set({ kind: 'refuse' });

    const refused = watched(connect({ host: '127.0.0.1', port: proxy.port }));
    await until(() => refused.errorCode !== '', 'a refusal');
    assert.equal(refused.errorCode, 'ECONNREFUSED');
    client.socket.write('still here');
    await until(() => peer.received === 'still here', 'bytes on the open connection');

    await proxy.set(PASS);
    await open();
  });

  it('resets a connection whose server is not there', async () => {
    server.close();
    const client = watched(connect({ host: '127.0.0.1', port: proxy.port }));
    dialled.push(client);

    await until(() => client.errorCode !== '', 'the reset');

    assert.equal(client.errorCode, 'ECONNRESET');
  });
});
