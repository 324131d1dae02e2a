import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ChunkedOutput } from '#gateway/http/chunked-output.ts';
import { within } from '#test/bounded.ts';

const FRAMES = ['data: one\n\n', 'data: zwei ä\n\ndata: 三\n\n', 'data: four\n\n'];
const GET = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';

describe('the output of a stream', () => {
  let server: Server;
  let handle: (response: ServerResponse) => void;
  let sockets: Socket[];

  beforeEach(async () => {
    sockets = [];
    server = createServer((_, response) => handle(response));
    await once(server.listen(0, '127.0.0.1'), 'listening');
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  function client(): Socket {
    const address = server.address();
    assert(typeof address === 'object' && address !== null);
    const socket = connect(address.port, '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    return socket;
  }

  /** Sends bytes; returns what comes back until `last` has come so often. */
  async function exchange(bytes: string, last: string, times = 1): Promise<string> {
    const socket = client();
    let received = '';
    const answered = new Promise<void>((resolve) => {
      socket.on('data', (data) => {
        received += data.toString('latin1');
        if (received.split(last).length > times) resolve();
      });
      socket.on('close', () => resolve());
    });
    socket.write(bytes);
    await within(answered, { what: last, trace: () => [received] });
    return received;
  }

  it('sends every frame as one chunk of its own, head first', async () => {
    handle = (response) => void stream(response);
    const [head = '', ...body] = (await exchange(GET, '\r\n0\r\n\r\n')).split('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n.*\r\ntransfer-encoding: chunked/is);
    assert.equal(body.join('\r\n\r\n'), `${FRAMES.map(chunk).join('')}0\r\n\r\n`);
  });

  it('sends frames alone to a client without chunks', async () => {
    handle = (response) => void stream(response);
    const received = await exchange('GET / HTTP/1.0\r\n\r\n', 'data: four\n\n');
    assert(received.endsWith(`\r\n\r\n${latin1(FRAMES.join(''))}`), received);
  });

  it('keeps the answers to pipelined requests apart', async () => {
    const responses: ServerResponse[] = [];
    handle = (response) => {
      responses.push(response);
      if (responses.length === 2) for (const one of responses.toReversed()) void stream(one);
    };
    const whole = `${FRAMES.map(chunk).join('')}0\r\n\r\n`;
    const received = await exchange(GET + GET, whole, 2);
    assert.match(received.replaceAll(whole, 'BODY'), /^HTTP.*?BODYHTTP.*?BODY$/s);
  });

  it('tells when a reader is behind and when it has caught up', async () => {
    let output: ChunkedOutput | undefined;
    handle = (response) => {
      output = begun(response);
    };
    const socket = client();
    socket.write(GET);
    const frames = 'x'.repeat(100_000);
    const isBehind = async () => {
      while (output?.write(frames) !== false) await new Promise((resolve) => setImmediate(resolve));
    };
    await within(isBehind(), { what: 'a full socket' });
    const drained = new Promise<void>((resolve) => output?.on('drain', resolve));
    socket.resume();
    await within(drained, { what: 'an empty socket' });
    assert.equal(output?.write('y'), true);
    const closed = new Promise<void>((resolve) => output?.on('close', resolve));
    socket.destroy();
    await within(closed, { what: 'the end of a client' });
    assert.equal(output?.destroyed, true);
  });
});

function begun(response: ServerResponse): ChunkedOutput {
  response.writeHead(200);
  return new ChunkedOutput(response);
}

/** Writes each frame in a turn of its own. */
async function stream(response: ServerResponse): Promise<void> {
  const output = begun(response);
  for (const frame of FRAMES.slice(0, -1)) {
    output.write(frame);
    await new Promise((resolve) => setImmediate(resolve));
  }
  output.end(FRAMES.at(-1) ?? '');
}

function chunk(frame: string): string {
  return latin1(`${Buffer.byteLength(frame).toString(16)}\r\n${frame}\r\n`);
}

/** Returns the bytes of a text as a text of one character each. */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
