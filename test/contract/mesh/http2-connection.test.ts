import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  constants,
  createServer,
  type Http2Server,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import { MeshError } from '#mesh/errors.ts';
import { Http2Connection } from '#mesh/grpc/http2-connection.ts';
import { framed } from '#mesh/grpc/message-reader.ts';
import { type ReceiveOptions, receiveMessages } from '#mesh/grpc/receive-messages.ts';
import { within } from '#test/bounded.ts';
import { freePort } from '#test/free-port.ts';
import { refusal } from '#test/refusal.ts';

const PATH = '/a.Service/Call';
const RESPONSE = { ':status': 200, 'content-type': 'application/grpc' };
const KIB = 1024;

/** Answers a call. */
type Script = (stream: ServerHttp2Stream) => void;

describe('a connection for calls that are read by hand', () => {
  let server: Http2Server;
  let script: Script;
  let sessions: ServerHttp2Session[];
  let connection: Http2Connection;

  beforeEach(async () => {
    sessions = [];
    server = createServer();
    server.on('session', (session) => sessions.push(session));
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      script(stream);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    connection = new Http2Connection(addressOf(server));
  });
  afterEach(() => {
    connection.close();
    for (const session of sessions) session.destroy();
    server.close();
  });

  it('gives the messages of a call in order and ends with its status', async () => {
    script = answering(['one', 'two'], { 'grpc-status': '0' });
    assert.deepEqual(await textsOf(connection), ['one', 'two']);
  });

  it('gives what came before a failure, then the failure in the words of the service', async () => {
    script = answering(['one'], { 'grpc-status': '8', 'grpc-message': 'too%20much' });
    const texts: string[] = [];
    const take = (message: Buffer) => void texts.push(message.toString());
    await assert.rejects(receive(connection, { take }), refusal('QUEUE_FULL', /^too much$/));
    assert.deepEqual(texts, ['one']);
  });

  it('fails with a status that comes instead of an answer', async () => {
    script = (stream) =>
      stream.respond(
        { ...RESPONSE, 'grpc-status': '3', 'grpc-message': 'bad' },
        { endStream: true },
      );
    await assert.rejects(textsOf(connection), refusal('INVALID_REQUEST', /^bad$/));
  });

  it('takes an answer without a status for a failure', async () => {
    script = (stream) => {
      stream.respond(RESPONSE);
      stream.end(framed(Buffer.from('one')));
    };
    await assert.rejects(
      textsOf(connection),
      refusal('ENGINE_FAILED', /^the call ended without an answer$/),
    );
  });

  it('says that the service is lost if the connection breaks, and opens another one', async () => {
    script = (stream) => stream.session?.destroy();
    await assert.rejects(textsOf(connection), isLost);
    script = answering(['again'], { 'grpc-status': '0' });
    assert.deepEqual(await textsOf(connection), ['again']);
  });

  it('says that the service is lost if nobody listens', async () => {
    const other = new Http2Connection(`127.0.0.1:${await freePort()}`);
    await assert.rejects(textsOf(other), isLost);
    other.close();
  });

  it('says that the service is lost if it ends the call', async () => {
    script = (stream) => stream.close(constants.NGHTTP2_CANCEL);
    await assert.rejects(textsOf(connection), (error) => {
      assert(error instanceof MeshError);
      assert.deepEqual([error.reason, error.isPeerLost], ['CANCELLED', true]);
      return true;
    });
  });

  it('begins no call on a connection that the service is about to end', async () => {
    const texts: string[] = [];
    let finish = () => {};
    script = (stream) => {
      stream.respond(RESPONSE, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.write(framed(Buffer.from('early')));
      sessions[0]?.goaway();
      finish = () => stream.end(framed(Buffer.from('late')));
    };
    const take = (message: Buffer) => void texts.push(message.toString());
    const begun = receive(connection, { take });
    await until(() => texts.length === 1, 'a first message');
    await turns(20);
    script = answering(['other'], { 'grpc-status': '0' });
    assert.deepEqual(await textsOf(connection), ['other']);
    assert.equal(sessions.length, 2);
    finish();
    await begun;
    assert.deepEqual(texts, ['early', 'late']);
  });

  it('goes over to another connection before the service ends one for its resets', async () => {
    const streams: ServerHttp2Stream[] = [];
    script = (stream) => {
      streams.push(stream);
      stream.respond(RESPONSE, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    };
    const long = receive(connection);
    await until(() => streams.length === 1, 'a first call');
    for (let num = 2; num <= 1200; num++) {
      const cancel = new AbortController();
      const call = receive(connection, { signal: cancel.signal });
      await until(() => streams.length === num, `call ${num}`);
      cancel.abort();
      await assert.rejects(call, refusal('CANCELLED'));
    }
    assert.equal(sessions.length, 2);
    streams[0]?.end();
    await long;
  });

  it('holds back a service whose answer is not taken, and loses nothing', async () => {
    const NUM = 400;
    const sent: number[] = [];
    script = (stream) => {
      stream.respond(RESPONSE, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      const send = () => {
        while (sent.length < NUM) {
          sent.push(sent.length);
          const message = Buffer.alloc(10 * KIB, String(sent.length % 10));
          if (!stream.write(framed(message))) return stream.once('drain', send);
        }
        return stream.end();
      };
      send();
    };
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const lengths: number[] = [];
    const answer = receive(connection, {
      take: (message) => {
        lengths.push(message.length);
        return lengths.length === 1 ? held : undefined;
      },
    });
    await until(() => lengths.length === 1, 'a first message');
    await turns(200);
    assert(sent.length < 40, `${sent.length} messages were sent to a reader that took one`);
    assert.equal(lengths.length, 1);
    release();
    await answer;
    assert.deepEqual(
      lengths,
      Array.from({ length: NUM }, () => 10 * KIB),
    );
  });

  it('cancels the call if its taker fails, and fails with the same', async () => {
    let code: number | undefined;
    script = (stream) => {
      stream.respond(RESPONSE);
      stream.write(framed(Buffer.from('one')));
      stream.on('close', () => {
        code = stream.rstCode;
      });
    };
    const failure = new Error('the reader has gone');
    const atOnce = receive(connection, {
      take: () => {
        throw failure;
      },
    });
    await assert.rejects(atOnce, failure);
    await until(() => code === constants.NGHTTP2_CANCEL, 'the end of the call');
    await assert.rejects(receive(connection, { take: () => Promise.reject(failure) }), failure);
  });

  it('gives up a connection that does not come to be', async () => {
    const full = await listenWithoutRoom();
    const slow = new Http2Connection(full.address, { intervalMs: 10_000, timeoutMs: 20 });
    await assert.rejects(within(textsOf(slow), { what: 'the end of the call' }), isLost);
    slow.close();
    await full.close();
  });

  it('gives up a connection that swallows what is sent', async () => {
    const sockets: Socket[] = [];
    const silent = createTcpServer((socket) => sockets.push(socket.on('error', () => {}).resume()));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const mute = new Http2Connection(addressOf(silent), { intervalMs: 10, timeoutMs: 10 });
    await assert.rejects(within(textsOf(mute), { what: 'the end of the call' }), isLost);
    mute.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
});

const isLost = refusal('NO_READY_ENDPOINT', /^the connection to a service was lost$/);

function addressOf(server: Pick<Http2Server, 'address'>): string {
  const address = server.address();
  assert(typeof address === 'object' && address !== null);
  return `127.0.0.1:${address.port}`;
}

/**
 * Listens as a host that is cut off does: nobody accepts, and the queue of connections is full, so
 * that Linux drops whatever asks for another one.
 */
async function listenWithoutRoom() {
  const worker = new Worker(NEVER_ACCEPTING, { eval: true });
  const [port] = await once(worker, 'message');
  const fillers = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => {}));
  const [first, second] = fillers;
  assert(first !== undefined && second !== undefined);
  await Promise.all([once(first, 'connect'), once(second, 'connect')]);
  const close = async () => {
    for (const filler of fillers) filler.destroy();
    await worker.terminate();
  };
  return { address: `127.0.0.1:${port}`, close };
}

/** A thread whose server queues two connections and stands still. */
const NEVER_ACCEPTING = `
  const { createServer } = require('node:net');
  const { parentPort } = require('node:worker_threads');
  const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    parentPort.postMessage(server.address().port);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** Answers with messages and a status. */
function answering(texts: readonly string[], trailers: OutgoingHttpHeaders): Script {
  return (stream) => {
    stream.respond(RESPONSE, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    for (const text of texts) stream.write(framed(Buffer.from(text)));
    stream.end();
  };
}

/** Makes a call without a request message. */
function receive(
  connection: Http2Connection,
  { signal = new AbortController().signal, take = () => undefined }: Partial<ReceiveOptions> = {},
): Promise<void> {
  const stream = connection.begin({ path: PATH });
  const received = receiveMessages(stream, { path: PATH, signal, maxMessageBytes: 1e6, take });
  stream.end();
  return received;
}

async function textsOf(connection: Http2Connection): Promise<string[]> {
  const texts: string[] = [];
  await receive(connection, { take: (message) => void texts.push(message.toString()) });
  return texts;
}

/** Lets everything happen that is under way, in the other end of the connection too. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when the condition holds. */
function until(condition: () => boolean, what: string): Promise<void> {
  const holds = async () => {
    while (!condition()) await turns(1);
  };
  return within(holds(), { what });
}
