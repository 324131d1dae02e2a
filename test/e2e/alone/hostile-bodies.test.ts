import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type ClientRequest, IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { within } from '#test/bounded.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { userMessage } from '#test/e2e/request/chat-request.ts';
import { imagePart, readMedia } from '#test/e2e/request/phone-cases.ts';
import { whileAnotherStreams } from './bystander.ts';

const MAX_GROWTH_MB = 300;
/** Longest time until memory has been given back, milliseconds. */
const MAX_RETURN_MS = 10_000;
/** Pause between two looks at the memory, milliseconds. */
const MEMORY_PAUSE_MS = 100;
const NUM_REQUESTS = 6;
/** Most bytes of unfinished bodies, MB: the default of the gateway. */
const UNFINISHED_MB = 512;
const NUM_STALLED = 60;
const OTHER_ADDRESS = '203.0.113.9';

const MB = 1_000_000;
const CHAT = '/v1/chat/completions';
const TRANSCRIPTIONS = '/v1/audio/transcriptions';
const JSON_TYPE = 'application/json';
const FORM_TYPE = 'multipart/form-data; boundary=b';
const BARE_PART = '--b\r\n\r\n\r\n';
const TEXT_PART = '--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n';

interface Attack {
  readonly name: string;
  readonly path: string;
  readonly type: string;
  readonly body: () => Buffer;
  readonly status: number;
  /** Text that the answer must have: the limit or the header that a refusal names. */
  readonly says: RegExp;
  /** Whether all bodies come at the same time, not one after the other. */
  readonly atOnce?: boolean;
}

/** Makes a buffer of `numBytes` bytes of the same pattern. */
const filled = (pattern: string, numBytes: number) => Buffer.alloc(numBytes, pattern);

/** Makes a chat request of about `numBytes` bytes, all of whose messages are the same. */
function listOf(message: string, numBytes: number): Buffer {
  const count = Math.floor(numBytes / (message.length + 1));
  const messages = filled(`${message},`, count * (message.length + 1) - 1);
  return Buffer.concat([Buffer.from('{"messages":['), messages, Buffer.from(']}')]);
}

/** Makes a request with three small images, each of which has 12.5 MB behind its end. */
function largeImages(): Buffer {
  const image = readMedia('media/image5.png');
  const parts = [0, 1, 2].map((n) => {
    return imagePart(Buffer.concat([image, Buffer.alloc(12.5 * MB, n)]));
  });
  return Buffer.from(JSON.stringify({ messages: userMessage(parts), max_tokens: 1 }));
}

const ATTACKS: readonly Attack[] = [
  {
    name: '20 MB of empty objects',
    path: CHAT,
    type: JSON_TYPE,
    body: () => Buffer.concat([Buffer.from('{"messages":['), filled('{},', 20 * MB)]),
    status: 400,
    says: /max-json-values/,
  },
  {
    name: '90 MB of small objects, six at once',
    path: CHAT,
    type: JSON_TYPE,
    body: () => listOf('{"role":"user","content":"a"}', 90 * MB),
    status: 400,
    says: /max-json-values/,
    atOnce: true,
  },
  {
    name: '45 MB with as many small objects as are allowed',
    path: CHAT,
    type: JSON_TYPE,
    body: () => listOf(`{"role":"user","content":"${'a'.repeat(1940)}"}`, 45 * MB),
    status: 400,
    says: /max-messages/,
  },
  {
    name: '50 MB of base64, six at once',
    path: CHAT,
    type: JSON_TYPE,
    body: largeImages,
    status: 200,
    says: /"completion_tokens":1\b/,
    atOnce: true,
  },
  {
    name: '90 MB of lists within each other',
    path: CHAT,
    type: JSON_TYPE,
    body: () => filled('[', 90 * MB),
    status: 400,
    says: /max-json-depth/,
  },
  {
    name: '32 MB of parts without a disposition',
    path: TRANSCRIPTIONS,
    type: FORM_TYPE,
    body: () => filled(BARE_PART, 32 * MB),
    status: 400,
    says: /Content-Disposition/,
  },
  {
    name: '48 MB of parts without a disposition',
    path: TRANSCRIPTIONS,
    type: FORM_TYPE,
    body: () => filled(BARE_PART, 48 * MB),
    status: 400,
    says: /Content-Disposition/,
  },
  {
    name: '48 MB of empty fields',
    path: TRANSCRIPTIONS,
    type: FORM_TYPE,
    body: () => filled(TEXT_PART, 48 * MB),
    status: 400,
    says: /max-form-parts/,
  },
];

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

/**
 * Sends by node:http, which passes a body to the system without a copy. fetch copies it, and probes
 * would wait for that. Resolves when the answer has come and the whole body has been taken: a server
 * that answers early must read the rest, or its answer would be lost.
 */
async function exchange(sending: ClientRequest, body?: Buffer): Promise<Answer> {
  const sent = once(sending, 'finish');
  sending.end(body);
  const [[answer]] = await Promise.all([once(sending, 'response'), sent]);
  assert(answer instanceof IncomingMessage);
  return { status: answer.statusCode, text: await text(answer) };
}

describe('a hostile body', () => {
  let mesh: Mesh;
  before(async () => {
    const gateway = [
      `unfinished-body-mb: ${UNFINISHED_MB}`,
      'body-stall-timeout-s: 3',
      'trusted-proxies: [127.0.0.1]',
    ];
    mesh = await startMesh({ env: { AUTOGLM_API_KEY: '' }, gateway });
  });
  after(() => mesh.stop());

  async function send({ path, type, status, says }: Attack, body: Buffer): Promise<void> {
    const headers = { 'content-type': type, 'content-length': body.length };
    const answer = await exchange(request(mesh.url + path, { method: 'POST', headers }), body);
    assert.equal(answer.status, status, answer.text);
    assert.match(answer.text, says);
  }

  async function sendTen(attack: Attack, body: Buffer): Promise<void> {
    const sendings = Array.from({ length: NUM_REQUESTS }, () => () => send(attack, body));
    if (attack.atOnce) await Promise.all(sendings.map((sending) => sending()));
    else for (const sending of sendings) await sending();
  }

  /** Reads the memory of the gateway, a child of the supervisor, MB. */
  async function gatewayMb(): Promise<number> {
    const children = ['-o', 'rss=,args=', '--ppid', String(mesh.supervisor.pid)];
    const { stdout } = await promisify(execFile)('ps', children);
    const [, kib] = /^ *(\d+) .*gateway\/main/m.exec(stdout) ?? [];
    assert(kib !== undefined, stdout);
    return (Number(kib) * 1024) / MB;
  }

  /** Waits until the gateway has little more memory than before. */
  async function memoryReturned(beforeMb: number): Promise<void> {
    const endMs = performance.now() + MAX_RETURN_MS;
    let grownMb: number;
    do {
      await setTimeout(MEMORY_PAUSE_MS);
      grownMb = (await gatewayMb()) - beforeMb;
    } while (grownMb >= MAX_GROWTH_MB && performance.now() < endMs);
    assert(grownMb < MAX_GROWTH_MB, `the gateway has grown by ${grownMb} MB`);
  }

  for (const attack of ATTACKS) {
    it(`of ${attack.name} costs nobody else an answer or time`, async () => {
      const body = attack.body();
      const beforeMb = await gatewayMb();

      await whileAnotherStreams(mesh.url, () => sendTen(attack, body));

      await memoryReturned(beforeMb);
    });
  }

  /** Reads the memory of the gateway until `attack` has ended; resolves to the most that it had. */
  async function peakMb(attack: () => Promise<void>): Promise<number> {
    let isOver = false;
    const watch = async () => {
      let mostMb = 0;
      while (!isOver) {
        mostMb = Math.max(mostMb, await gatewayMb());
        await setTimeout(MEMORY_PAUSE_MS);
      }
      return mostMb;
    };
    const attacking = attack().finally(() => {
      isOver = true;
    });
    const [mostMb] = await Promise.all([watch(), attacking]);
    return mostMb;
  }

  /** Sends half of a body of 39 MB and waits; resolves to what came until the server cut it. */
  async function stall(half: Buffer): Promise<string> {
    const { hostname, port } = new URL(mesh.url);
    const socket = connect(Number(port), hostname);
    // What the server does not read is reset when it closes.
    socket.on('error', () => {});
    socket.write(
      `POST ${CHAT} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: ${JSON_TYPE}\r\ncontent-length: ${39 * MB}\r\n\r\n`,
    );
    socket.write(half);
    let received = '';
    socket.on('data', (piece: Buffer) => {
      received += piece.toString();
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await within(closed, { what: 'a stalled body to be cut', boundMs: 60_000 });
    return received;
  }

  it('that stops halfway is cut, and sixty of them take no more than their budget', async () => {
    const half = Buffer.concat([Buffer.from('{"prompt":"'), filled('a', 20 * MB)]);
    const beforeMb = await gatewayMb();
    let answers: string[] = [];
    const attack = async () => {
      const stalled = Array.from({ length: NUM_STALLED }, () => stall(half));
      const other = request(mesh.url + CHAT, {
        method: 'POST',
        headers: { 'content-type': JSON_TYPE, 'x-forwarded-for': OTHER_ADDRESS },
      });
      const answer = await exchange(other, largeImages());
      assert.equal(answer.status, 200, answer.text);
      answers = await Promise.all(stalled);
    };

    const mostMb = await whileAnotherStreams(mesh.url, () => peakMb(attack));

    for (const one of answers) assert.match(one, /^HTTP\/1\.1 (?:408|429) /);
    assert(
      answers.some((one) => one.includes('body-stall-timeout-s')),
      'none was cut by its pace',
    );
    assert(mostMb - beforeMb < UNFINISHED_MB + MAX_GROWTH_MB, `it grew by ${mostMb - beforeMb} MB`);
    await memoryReturned(beforeMb);
  });
});
