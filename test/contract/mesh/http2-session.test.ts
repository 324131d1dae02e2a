import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer as createHttp2Server,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ClientSession } from '#mesh/http2/client-session.ts';
import type { ClientStream } from '#mesh/http2/client-stream.ts';
import {
  ErrorCode,
  type Frame,
  FrameFlag,
  FrameReader,
  FrameType,
  frameOf,
  MAX_FRAME_BYTES,
  numberFrame,
  Setting,
  settingsPayload,
} from '#mesh/http2/frame.ts';
import { encodeHeaders } from '#mesh/http2/header-block.ts';
import { within } from '#test/bounded.ts';

const REQUEST = encodeHeaders([
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'here'],
]);
const PREFACE_BYTES = 24;

/** Notes what comes on a stream. */
class Recorder {
  readonly events: string[] = [];
  readonly closed: Promise<void>;
  numBytes = 0;
  #onClose = () => {};

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#onClose = resolve;
    });
  }

  onResponse(headers: ReadonlyMap<string, string>): void {
    this.events.push(`response ${headers.get(':status')} ${headers.get('x-a') ?? ''}`.trim());
  }

  onData(bytes: Buffer): void {
    this.numBytes += bytes.length;
    this.events.push(`data ${bytes.length < 100 ? bytes.toString() : bytes.length}`);
  }

  onTrailers(headers: ReadonlyMap<string, string>): void {
    this.events.push(`trailers ${headers.get('x-b')}`);
  }

  onClose(): void {
    this.events.push('close');
    this.#onClose();
  }
}

describe('ClientSession beside a server that sends what a test says', () => {
  let server: Server;
  let session: ClientSession;
  let peer: Socket;
  let frames: Frame[];
  let hasEnded: boolean;

  beforeEach(async () => {
    server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    hasEnded = false;
    const accepted = once(server, 'connection');
    session = new ClientSession(connect(portOf(server), '127.0.0.1'), {
      onEnd: () => {
        hasEnded = true;
      },
      onStreamEnd: () => {},
    });
    [peer] = await accepted;
    frames = framesOf(peer.on('error', () => {}));
    await sent(FrameType.WINDOW_UPDATE);
  });
  afterEach(() => {
    peer.destroy();
    server.close();
  });

  const sent = (type: number) =>
    until(() => frames.some((one) => one.type === type), `a frame of type ${type}`);
  const settings = (...list: (readonly [number, number])[]) =>
    send(FrameType.SETTINGS, { payload: settingsPayload(list) });
  const send = (
    type: number,
    { flags = 0, streamId = 0, payload = Buffer.alloc(0) }: Partial<Frame> = {},
  ) => peer.write(frameOf({ type, flags, streamId }, payload));
  const begin = async (): Promise<{ stream: ClientStream; got: Recorder }> => {
    const got = new Recorder();
    const stream = session.begin(REQUEST);
    stream.listen(got);
    await sent(FrameType.HEADERS);
    return { stream, got };
  };
  const lastCode = async (): Promise<number | undefined> => {
    await sent(FrameType.GOAWAY);
    return frames.find(({ type }) => type === FrameType.GOAWAY)?.payload.readUInt32BE(4);
  };

  it('joins headers that come in several frames, padded and with a priority', async () => {
    settings();
    const { got } = await begin();
    const block = encodeHeaders([
      [':status', '200'],
      ['x-a', 'yes'],
    ]);
    const first = Buffer.concat([
      Buffer.of(2),
      Buffer.alloc(5),
      block.subarray(0, 4),
      Buffer.alloc(2),
    ]);
    send(FrameType.HEADERS, {
      flags: FrameFlag.PADDED | FrameFlag.PRIORITY,
      streamId: 1,
      payload: first,
    });
    send(FrameType.CONTINUATION, { streamId: 1, payload: block.subarray(4, 9) });
    send(FrameType.CONTINUATION, {
      flags: FrameFlag.END_HEADERS,
      streamId: 1,
      payload: block.subarray(9),
    });
    send(FrameType.DATA, {
      flags: FrameFlag.END_STREAM,
      streamId: 1,
      payload: Buffer.from('text'),
    });

    await within(got.closed, { what: 'the end of the stream' });

    assert.deepEqual(got.events, ['response 200 yes', 'data text', 'close']);
  });

  it('leaves interim answers out and tells trailers apart', async () => {
    settings();
    const { got } = await begin();
    const headers = (name: string, value: string, flags = 0) =>
      send(FrameType.HEADERS, {
        flags: FrameFlag.END_HEADERS | flags,
        streamId: 1,
        payload: encodeHeaders([[name, value]]),
      });
    headers(':status', '103');
    headers(':status', '200');
    headers('x-b', 'last', FrameFlag.END_STREAM);

    await within(got.closed, { what: 'the end of the stream' });

    assert.deepEqual(got.events, ['response 200', 'trailers last', 'close']);
  });

  it('answers settings and pings', async () => {
    settings();
    send(FrameType.PING, { payload: Buffer.from('12345678') });

    await sent(FrameType.PING);

    const answers = frames.filter(({ flags }) => flags === FrameFlag.ACK);
    assert.deepEqual(
      answers.map(({ type, payload }) => [type, payload.toString()]),
      [
        [FrameType.SETTINGS, ''],
        [FrameType.PING, '12345678'],
      ],
    );
  });

  it('sends no more than the windows of the stream and of the connection', async () => {
    settings([Setting.INITIAL_WINDOW_SIZE, 10]);
    await sent(FrameType.SETTINGS);
    const { stream } = await begin();
    let isThrough = false;
    const isSent = stream.write(Buffer.from('0123456789abcdef'), () => {
      isThrough = true;
    });
    assert.equal(isSent, false);
    await sent(FrameType.DATA);
    const texts = () =>
      frames.filter(({ type }) => type === FrameType.DATA).map(({ payload }) => String(payload));
    assert.deepEqual(texts(), ['0123456789']);

    peer.write(numberFrame({ type: FrameType.WINDOW_UPDATE, streamId: 1 }, 4));
    await until(() => texts().length === 2, 'a second piece');
    assert.equal(isThrough, false);
    settings([Setting.INITIAL_WINDOW_SIZE, 20]);
    await until(() => texts().length === 3, 'a third piece');

    assert.deepEqual(texts(), ['0123456789', 'abcd', 'ef']);
    assert.equal(isThrough, true);
  });

  it('lets each stream send a frame in turn where they share a window', async () => {
    settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 20]);
    await sent(FrameType.SETTINGS);
    const [first, second, third] = [await begin(), await begin(), await begin()];
    const grown = Buffer.alloc(2 ** 19);
    // It goes on in its turn, and must not take those of the others by it.
    const onDrain = () => first.stream.write(grown, () => {});
    first.stream.write(Buffer.alloc(MAX_FRAME_BYTES * 5), onDrain);
    second.stream.end(grown);
    third.stream.end(Buffer.from('a short one'));
    const data = () => frames.filter(({ type }) => type === FrameType.DATA);
    const numBytes = () => data().reduce((sum, { payload }) => sum + payload.length, 0);
    let allowed = 65_535;
    await until(() => numBytes() === allowed, 'the first window');
    const before = data().length;
    for (let i = 0; i < 5; i++) {
      peer.write(numberFrame({ type: FrameType.WINDOW_UPDATE, streamId: 0 }, MAX_FRAME_BYTES));
      allowed += MAX_FRAME_BYTES;
      await until(() => numBytes() === allowed, 'the next window');
    }
    const turns = data()
      .slice(before)
      .map(({ streamId }) => streamId);
    assert.deepEqual(turns, [1, 3, 5, 1, 3, 1, 3]);
  });

  it('begins no stream beyond those that the server takes', async () => {
    settings([Setting.MAX_CONCURRENT_STREAMS, 1]);
    await until(
      () => frames.some(({ flags }) => flags === FrameFlag.ACK),
      'the answer to settings',
    );
    assert.equal(session.isFull, false);
    await begin();
    assert.equal(session.isFull, true);
  });

  it('refuses the streams that a server about to end has not begun, and goes on with the others', async () => {
    settings();
    const first = await begin();
    const second = await begin();
    send(FrameType.GOAWAY, { payload: Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]) });

    await within(second.got.closed, { what: 'the end of the second stream' });

    assert.equal(hasEnded, true);
    assert.equal(second.stream.rstCode, ErrorCode.REFUSED_STREAM);
    assert.equal(first.stream.isClosed, false);
  });

  it('takes what is under way to a stream that it has given up', async () => {
    settings();
    const { stream, got } = await begin();
    stream.close(ErrorCode.CANCEL);
    await sent(FrameType.RST_STREAM);
    send(FrameType.DATA, { streamId: 1, payload: Buffer.from('late') });
    send(FrameType.PING, { payload: Buffer.alloc(8) });

    await sent(FrameType.PING);

    assert.deepEqual(got.events, ['close']);
  });

  const violations: readonly (readonly [what: string, code: number, act: () => void])[] = [
    ['no settings at first', ErrorCode.PROTOCOL_ERROR, () => send(FrameType.PING)],
    [
      'an answer of HTTP/1',
      ErrorCode.FRAME_SIZE_ERROR,
      () => peer.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ],
    [
      'a stream that nobody has begun',
      ErrorCode.PROTOCOL_ERROR,
      () => {
        settings();
        send(FrameType.DATA, { streamId: 3 });
      },
    ],
    [
      'a push',
      ErrorCode.PROTOCOL_ERROR,
      () => {
        settings();
        send(FrameType.PUSH_PROMISE, { streamId: 1 });
      },
    ],
    [
      'headers that cannot be read',
      ErrorCode.COMPRESSION_ERROR,
      () => {
        settings();
        const payload = Buffer.of(0xff, 0xff);
        send(FrameType.HEADERS, { flags: FrameFlag.END_HEADERS, streamId: 1, payload });
      },
    ],
    [
      'headers without an end',
      ErrorCode.ENHANCE_YOUR_CALM,
      () => {
        settings();
        send(FrameType.HEADERS, { streamId: 1 });
        for (let i = 0; i < 1100; i++) send(FrameType.CONTINUATION, { streamId: 1 });
      },
    ],
    [
      'headers that another frame breaks off',
      ErrorCode.PROTOCOL_ERROR,
      () => {
        settings();
        send(FrameType.HEADERS, { streamId: 1 });
        send(FrameType.PING, { payload: Buffer.alloc(8) });
      },
    ],
    [
      'more than the window of a stream',
      ErrorCode.FLOW_CONTROL_ERROR,
      () => {
        settings();
        for (let i = 0; i < 5; i++) {
          send(FrameType.DATA, { streamId: 1, payload: Buffer.alloc(MAX_FRAME_BYTES) });
        }
      },
    ],
    [
      'a window that is too large',
      ErrorCode.FLOW_CONTROL_ERROR,
      () => {
        settings();
        peer.write(numberFrame({ type: FrameType.WINDOW_UPDATE, streamId: 0 }, 2 ** 31 - 1));
      },
    ],
    [
      'a ping of a wrong size',
      ErrorCode.FRAME_SIZE_ERROR,
      () => {
        settings();
        send(FrameType.PING, { payload: Buffer.alloc(7) });
      },
    ],
  ];
  for (const [what, code, act] of violations) {
    it(`ends a connection with ${what}, and says why`, async () => {
      const { got } = await begin();
      act();
      assert.equal(await lastCode(), code);
      await within(got.closed, { what: 'the end of the stream' });
      assert.equal(hasEnded, true);
    });
  }

  /** Reads the frames that the session sends. */
  function framesOf(socket: Socket): Frame[] {
    const list: Frame[] = [];
    const reader = new FrameReader();
    let numSkipped = 0;
    socket.on('data', (bytes: Buffer) => {
      const start = Math.min(PREFACE_BYTES - numSkipped, bytes.length);
      numSkipped += start;
      reader.read(bytes.subarray(start), (frame) => list.push(frame));
    });
    return list;
  }
});

describe('ClientSession beside the server of Node', () => {
  let server: Http2Server;
  let session: ClientSession;
  let script: (stream: ServerHttp2Stream) => void;

  beforeEach(async () => {
    server = createHttp2Server();
    server.on('stream', (stream) => script(stream.on('error', () => {})));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    session = new ClientSession(connect(portOf(server), '127.0.0.1'), {
      onEnd: () => {},
      onStreamEnd: () => {},
    });
  });
  afterEach(() => {
    session.close();
    server.close();
  });

  it('reads every character that a header can have, in the code of its server', async () => {
    const value = String.fromCharCode(...codes(0x21, 0x7e), ...codes(0xa0, 0xff));
    script = (stream) => {
      stream.respond({ ':status': 200, 'x-a': value }, { endStream: true });
    };
    const got = new Recorder();
    const stream = session.begin(REQUEST);
    stream.listen(got);
    stream.end();

    await within(got.closed, { what: 'the end of the stream' });

    assert.deepEqual(got.events, [`response 200 ${value}`, 'close']);
  });

  it('gives up the rest of a request that is answered before it is read', async () => {
    let rest: Promise<unknown> | undefined;
    script = (stream) => {
      rest = once(stream, 'close').then(() => stream.rstCode);
      stream.respond({ ':status': 200 }, { endStream: true });
    };
    const got = new Recorder();
    const stream = session.begin(REQUEST);
    stream.listen(got);
    let isWoken = false;
    stream.write(Buffer.alloc(1_000_000), () => {
      isWoken = true;
    });

    await within(got.closed, { what: 'the end of the stream' });

    assert.deepEqual(got.events, ['response 200', 'close']);
    assert.equal(isWoken, true);
    assert.equal(
      stream.write(Buffer.from('more'), () => assert.fail()),
      true,
    );
    assert.equal(await rest, ErrorCode.NO_ERROR);
    assert.equal(session.isEnding, false);
  });

  it('sends a large request as fast as it is read, and receives as large an answer', async () => {
    const NUM = 40;
    const message = Buffer.alloc(100_000, 'm');
    script = (stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    };
    const got = new Recorder();
    const stream = session.begin(REQUEST);
    const onData = got.onData.bind(got);
    got.onData = (bytes) => {
      onData(bytes);
      stream.took(bytes.length);
    };
    stream.listen(got);
    let numWritten = 0;
    let numWaits = 0;
    const write = () => {
      while (numWritten < NUM) {
        numWritten += 1;
        if (!stream.write(message, write)) {
          numWaits += 1;
          return;
        }
      }
      stream.end();
    };
    write();

    await within(got.closed, { what: 'the end of the stream' });

    assert.equal(got.numBytes, NUM * message.length);
    assert(numWaits > 0, 'a writer was never held back');
  });
});

function codes(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

function portOf(server: Pick<Server, 'address'>): number {
  const address = server.address() as AddressInfo;
  return address.port;
}

/** Resolves when the condition holds. */
function until(condition: () => boolean, what: string): Promise<void> {
  const holds = async () => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve));
  };
  return within(holds(), { what });
}
