import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import OpenAI, { toFile } from 'openai';
import { within } from '#test/bounded.ts';
import { CHAT, errorOf, type Harness, type HarnessOptions, startHarness } from './harness.ts';

const CHAT_PATH = '/v1/chat/completions';
const FORM_PATH = '/v1/audio/transcriptions';
const FORM_TYPE = 'multipart/form-data; boundary=edge';
const MB = 1_000_000;

let harness: Harness;

async function start(options: HarnessOptions = {}): Promise<Harness> {
  harness = await startHarness(options);
  return harness;
}

interface Head {
  readonly path?: string;
  readonly type?: string;
  /** Bytes announced; unset: the body comes in chunks. */
  readonly length?: number;
  readonly encoding?: 'identity' | 'gzip';
}

/** A connection that has sent the head of a POST and nothing of its body. */
class Upload {
  readonly #socket: Socket;
  #received = '';

  constructor(url: string, head: Head) {
    const { path = CHAT_PATH, type = 'application/json', length, encoding = 'identity' } = head;
    this.#socket = connect(Number(new URL(url).port), '127.0.0.1');
    this.#socket.on('data', (bytes: Buffer) => {
      this.#received += bytes.toString('latin1');
    });
    const framing =
      length === undefined ? 'transfer-encoding: chunked' : `content-length: ${length}`;
    this.send(
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: ${type}\r\ncontent-encoding: ${encoding}\r\n${framing}\r\n\r\n`,
    );
  }

  /** The text received so far. */
  get received(): string {
    return this.#received;
  }

  send(bytes: string | Buffer): void {
    this.#socket.write(bytes);
  }

  sendChunk(bytes: string): void {
    this.send(`${Buffer.byteLength(bytes).toString(16)}\r\n${bytes}\r\n`);
  }

  /** Sends bytes and waits until they have left. */
  async flush(bytes: string | Buffer): Promise<void> {
    if (this.#socket.write(bytes)) return;
    await this.#bounded(once(this.#socket, 'drain'), 'the bytes to leave');
  }

  /** Waits until an answer that matches has come. */
  until(answer: RegExp): Promise<void> {
    const arrived = async () => {
      while (!answer.test(this.#received)) await once(this.#socket, 'data');
    };
    return this.#bounded(arrived(), `an answer like ${answer}`);
  }

  /** Resolves when the server has closed the connection, with a reset or without. */
  closed(): Promise<void> {
    this.#socket.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => this.#socket.on('close', () => resolve()));
    return this.#bounded(closed, 'the end of the connection');
  }

  #bounded<T>(waiting: Promise<T>, what: string): Promise<T> {
    return within(waiting, { what, trace: () => [this.#received] });
  }

  leave(): void {
    this.#socket.destroy();
  }
}

/** Returns bytes as chunks of one byte each. */
function inCrumbs(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replace(/./gs, '1\r\n$&\r\n'), 'latin1');
}

describe('A JSON body', () => {
  afterEach(() => harness.close());

  it('is refused at the first value too many, before the rest has come', async () => {
    const { url } = await start({ maxJsonValues: 1000 });
    const upload = new Upload(url, { length: 90 * MB });

    upload.send(`[${'{},'.repeat(100_000)}`);

    await upload.until(/^HTTP\/1\.1 400 [\s\S]*more than 1000 values [\s\S]*max-json-values/);
    upload.leave();
  });

  it('is refused at the first level too many, before the rest has come', async () => {
    const { url } = await start({ maxJsonDepth: 9 });
    const upload = new Upload(url, { length: 90 * MB });

    upload.send('['.repeat(100_000));

    await upload.until(/^HTTP\/1\.1 400 [\s\S]*deeper than 9 levels [\s\S]*max-json-depth/);
    upload.leave();
  });

  it('is taken with as many values and levels as are allowed', async () => {
    const { post } = await start({ maxJsonValues: 1000, maxJsonDepth: 8 });
    // Without the zeros it weighs 117.
    const body = { ...CHAT, x: [[[[[[[]]]]]]], y: Array.from({ length: 883 }, () => 0) };

    assert.equal((await post(CHAT_PATH, body)).status, 200);
    assert.equal((await post(CHAT_PATH, { ...body, z: 0 })).status, 400);
    assert.equal((await post(CHAT_PATH, { ...body, x: [[[[[[[[]]]]]]]] })).status, 400);
  });

  it('may come one byte a chunk, and characters may be cut', async () => {
    const { url, backbone } = await start();
    const upload = new Upload(url, {});
    const body = Buffer.from(
      JSON.stringify({ messages: [{ role: 'user', content: '打开微信😀' }] }),
    );

    for (const byte of body) {
      upload.send('1\r\n');
      upload.send(Buffer.from([byte]));
      upload.send('\r\n');
    }
    upload.send('0\r\n\r\n');

    await upload.until(/^HTTP\/1\.1 200 /);
    assert.match(JSON.stringify(backbone.starts), /打开微信😀/);
    upload.leave();
  });

  it('may come one byte a chunk though it is compressed', async () => {
    const { url } = await start();
    const upload = new Upload(url, { encoding: 'gzip' });

    upload.send(inCrumbs(gzipSync(JSON.stringify(CHAT))));
    upload.send('0\r\n\r\n');

    await upload.until(/^HTTP\/1\.1 200 /);
    upload.leave();
  });

  for (const encoding of ['identity', 'gzip'] as const) {
    it(`that comes in crumbs is refused before the rest has come, in ${encoding}`, async () => {
      const { url } = await start();
      const upload = new Upload(url, { encoding });
      const first =
        encoding === 'gzip' ? gzipSync(' '.repeat(60_000), { level: 0 }) : ' '.repeat(60_000);

      const closed = upload.closed();

      upload.send(inCrumbs(Buffer.from(first).subarray(0, 30_000)));

      await upload.until(/^HTTP\/1\.1 400 [\s\S]*"message":"the body comes in thousands of chunks/);
      await closed;
    });
  }

  it('that nobody reads is cut off if it comes in crumbs', async () => {
    const { url } = await start();
    const upload = new Upload(url, { path: '/nowhere' });
    const closed = upload.closed();

    upload.send(inCrumbs(Buffer.alloc(30_000, 'x')));

    await closed;
  });

  it('with 131,072 token ids, 256 prompts or 150,000 biases is taken by default', async () => {
    const { post } = await start();
    const ids = Array.from({ length: 131_072 }, (_, i) => i);
    const prompts = Array.from({ length: 256 }, () => ids.slice(0, 1024));
    const bias = Object.fromEntries(Array.from({ length: 150_000 }, (_, i) => [i, 1]));

    for (const body of [{ prompt: ids }, { prompt: prompts }, { prompt: 'a', logit_bias: bias }]) {
      const response = await post('/v1/completions', body);
      assert.doesNotMatch(await response.text(), /max-json-values/);
    }
  });
});

describe('Bodies of many requests', () => {
  afterEach(() => harness.close());

  it('are bounded together until they are answered or left', async () => {
    const { url, post, get } = await start({ bodyBufferMb: 1 });
    const upload = new Upload(url, { length: MB });
    const bodyBytes = async () =>
      Number(/^autoglm:gateway_body_bytes (\d+)$/m.exec(await (await get('/metrics')).text())?.[1]);
    const bytesAre = async (isRight: (numBytes: number) => boolean) => {
      const endMs = performance.now() + 20_000;
      while (!isRight(await bodyBytes())) {
        assert(performance.now() < endMs, `${await bodyBytes()} bytes are counted`);
      }
    };
    upload.send(`{"x":"${'a'.repeat(0.8 * MB)}`);
    await bytesAre((numBytes) => numBytes > 0.7 * MB);

    const body = { ...CHAT, x: 'a'.repeat(200_000) };
    const refused = await post(CHAT_PATH, body);
    upload.leave();
    await bytesAre((numBytes) => numBytes === 0);
    const taken = await post(CHAT_PATH, body);

    assert.equal(refused.status, 429);
    assert.match((await errorOf(refused)).message, /1 MB together \(key "body-buffer-mb"\)/);
    assert.equal(taken.status, 200);
    await taken.text();
    await bytesAre((numBytes) => numBytes === 0);
  });
});

describe('A form', () => {
  afterEach(() => harness.close());

  it('is refused at the first part too many, before the rest has come', async () => {
    const { url } = await start({ maxFormParts: 3 });
    const upload = new Upload(url, { path: FORM_PATH, type: FORM_TYPE, length: 90 * MB });

    upload.send(
      '--edge\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n'.repeat(4) + 'x'.repeat(MB),
    );

    await upload.until(/^HTTP\/1\.1 400 [\s\S]*more than 3 parts [\s\S]*max-form-parts/);
    upload.leave();
  });

  it('is refused at the first part that is no field, before the rest has come', async () => {
    const { url } = await start();
    const upload = new Upload(url, { path: FORM_PATH, type: FORM_TYPE, length: 90 * MB });

    upload.send('--edge\r\n\r\n\r\n'.repeat(10_000));

    await upload.until(/^HTTP\/1\.1 400 [\s\S]*no header .*Content-Disposition/);
    upload.leave();
  });

  it('is refused when its file becomes too large, before the rest has come', async () => {
    const { url } = await start({ maxMediaMb: 1 });
    const upload = new Upload(url, { path: FORM_PATH, type: FORM_TYPE, length: 90 * MB });

    upload.send('--edge\r\nContent-Disposition: form-data; name=file; filename=a.wav\r\n\r\n');
    upload.send(Buffer.alloc(2 * MB));

    await upload.until(/^HTTP\/1\.1 413 [\s\S]*file is larger than the 1 MB/);
    upload.leave();
  });
});

describe('A client that is refused while it sends', () => {
  afterEach(() => harness.close());

  it('reads the answer after it has sent everything, and may go on', async () => {
    const { url } = await start();
    const body = Buffer.from(`[${'{},'.repeat(8_000_000)}`);
    const upload = new Upload(url, { length: body.length });

    await upload.flush(body);

    await upload.until(/^HTTP\/1\.1 400 [\s\S]*max-json-values/);
    upload.send('GET /version HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n');
    await upload.until(/HTTP\/1\.1 200 [\s\S]*version/);
    upload.leave();
  });

  it('reads that its body is too large', async () => {
    const { url } = await start({ maxBodyMb: 20 });
    const body = Buffer.alloc(30 * MB, ' ');
    const upload = new Upload(url, { length: body.length });

    await upload.flush(body);

    await upload.until(/^HTTP\/1\.1 413 [\s\S]*max-body-mb/);
    upload.leave();
  });

  it('is cut off once it has sent more than a body may have', async () => {
    const { url } = await start({ maxBodyMb: 1 });
    const upload = new Upload(url, {});
    upload.sendChunk('['.repeat(100_000));
    await upload.until(/^HTTP\/1\.1 400 /);

    const closed = upload.closed();
    for (let i = 0; i < 10; i++) upload.sendChunk(' '.repeat(MB));

    await closed;
    assert.equal(upload.received.match(/HTTP\/1\.1/g)?.length, 1);
  });

  const EARLY = [
    ['on an unknown path', '/v1/nothing', 404],
    ['on a path that takes none', '/v1/models', 405],
    ['without a key', CHAT_PATH, 401],
  ] as const;
  for (const [where, path, status] of EARLY) {
    it(`is answered before its body has come ${where}`, async () => {
      const { url } = await start(status === 401 ? { apiKey: 'one' } : {});
      const upload = new Upload(url, { path, length: 90 * MB });

      await upload.until(new RegExp(`^HTTP/1\\.1 ${status} `));

      upload.leave();
    });
  }

  it('may leave instead', async () => {
    const { url, post } = await start();
    const upload = new Upload(url, { length: 90 * MB });
    await upload.flush('{"messages":');

    upload.leave();

    assert.equal((await post(CHAT_PATH, CHAT)).status, 200);
  });
});

describe('A client whose body is refused', () => {
  afterEach(() => harness.close());

  const many = `[${'{},'.repeat(4_000_000)}0]`;

  it('reads why with fetch', async () => {
    const { post } = await start({ maxBodyMb: 20 });

    const values = await post(CHAT_PATH, many);
    const size = await post(CHAT_PATH, ' '.repeat(30 * MB));

    assert.match((await errorOf(values)).message, /max-json-values/);
    assert.match((await errorOf(size)).message, /max-body-mb/);
  });

  it('reads why with the openai package', async () => {
    const { url } = await start({ maxMediaMb: 1 });
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'key', maxRetries: 0 });
    const stop = Array.from({ length: 1_000_000 }, () => 'a');
    const file = await toFile(Buffer.alloc(16 * MB), 'a.wav');

    await assert.rejects(client.completions.create({ model: 'phone-nano', prompt: 'a', stop }), {
      status: 400,
      message: /max-json-values/,
    });
    await assert.rejects(client.audio.transcriptions.create({ model: 'phone-nano', file }), {
      status: 413,
      message: /1 MB/,
    });
  });

  const hasCurl = spawnSync('curl', ['--version']).status === 0;
  it('reads why with curl', { skip: !hasCurl && 'curl is not installed' }, async () => {
    const { url } = await start({ maxMediaMb: 1 });
    const folder = await mkdtemp(join(tmpdir(), 'autoglm-bodies-'));
    const json = join(folder, 'many.json');
    const wav = join(folder, 'a.wav');
    await writeFile(json, many);
    await writeFile(wav, Buffer.alloc(16 * MB));
    const curl = async (path: string, ...args: string[]) => {
      const all = ['-sS', '-w', '\n%{http_code}', ...args, url + path];
      const { stdout } = await promisify(execFile)('curl', all);
      return stdout;
    };
    const isJson = 'content-type: application/json';

    const values = await curl(CHAT_PATH, '-H', isJson, '--data-binary', `@${json}`);
    const size = await curl(FORM_PATH, '-F', 'model=phone-nano', '-F', `file=@${wav}`);

    assert.match(values, /max-json-values[\s\S]*\n400$/);
    assert.match(size, /1 MB[\s\S]*\n413$/);
    await rm(folder, { recursive: true });
  });
});
