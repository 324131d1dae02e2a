import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { whileAnotherStreams } from './bystander.ts';
import { type Mesh, property, startMesh } from './mesh.ts';

/** Longest time that a health probe may wait during an attack, milliseconds. */
const MAX_HEALTH_MS = 500;
const MAX_GROWTH_MB = 300;
const NUM_REQUESTS = 10;

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
  /** Text that the refusal must name. */
  readonly says: RegExp;
}

/** Makes a buffer of `numBytes` bytes of the same pattern. */
const filled = (pattern: string, numBytes: number) => Buffer.alloc(numBytes, pattern);

const ATTACKS: readonly Attack[] = [
  {
    name: '20 MB of empty objects',
    path: CHAT,
    type: JSON_TYPE,
    body: () => Buffer.concat([Buffer.from('{"messages":['), filled('{},', 20 * MB)]),
    says: /max-json-values/,
  },
  {
    name: '90 MB of lists within each other',
    path: CHAT,
    type: JSON_TYPE,
    body: () => filled('[', 90 * MB),
    says: /max-json-depth/,
  },
  {
    name: '32 MB of parts without a disposition',
    path: TRANSCRIPTIONS,
    type: FORM_TYPE,
    body: () => filled(BARE_PART, 32 * MB),
    says: /Content-Disposition/,
  },
  {
    name: '48 MB of parts without a disposition',
    path: TRANSCRIPTIONS,
    type: FORM_TYPE,
    body: () => filled(BARE_PART, 48 * MB),
    says: /Content-Disposition/,
  },
  {
    name: '48 MB of empty fields',
    path: TRANSCRIPTIONS,
    type: FORM_TYPE,
    body: () => filled(TEXT_PART, 48 * MB),
    says: /max-form-parts/,
  },
];

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

/**
 * Sends by node:http, which passes a body to the system without a copy. fetch copies it, and probes
 * would wait for that.
 */
async function exchange(sending: ClientRequest, body?: Buffer): Promise<Answer> {
  sending.end(body);
  const [answer]: IncomingMessage[] = await once(sending, 'response');
  assert(answer !== undefined);
  return { status: answer.statusCode, text: await text(answer) };
}

describe('a hostile body', () => {
  let mesh: Mesh;
  before(async () => {
    mesh = await startMesh({ env: { AUTOGLM_API_KEY: '' } });
  });
  after(() => mesh.stop());

  /** Sends the body ten times; resolves to the longest time that a probe waited meanwhile. */
  async function send({ path, type, says }: Attack, body: Buffer): Promise<number> {
    let isSending = true;
    const probe = async () => {
      let longestMs = 0;
      while (isSending) {
        const startMs = performance.now();
        const { status } = await exchange(request(`${mesh.url}/health`));
        assert.equal(status, 200);
        longestMs = Math.max(longestMs, performance.now() - startMs);
      }
      return longestMs;
    };
    const attack = async () => {
      try {
        for (let i = 0; i < NUM_REQUESTS; i++) {
          const headers = { 'content-type': type, 'content-length': body.length };
          const answer = await exchange(
            request(mesh.url + path, { method: 'POST', headers }),
            body,
          );
          assert.equal(answer.status, 400);
          assert.match(String(property(JSON.parse(answer.text), 'error', 'message')), says);
        }
      } finally {
        isSending = false;
      }
    };
    const [longestMs] = await Promise.all([probe(), attack()]);
    return longestMs;
  }

  /** Reads the memory of the gateway, a child of the supervisor, MB. */
  async function gatewayMb(): Promise<number> {
    const children = ['-o', 'rss=,args=', '--ppid', String(mesh.supervisor.pid)];
    const { stdout } = await promisify(execFile)('ps', children);
    const [, kib] = /^ *(\d+) .*gateway\/main/m.exec(stdout) ?? [];
    assert(kib !== undefined, stdout);
    return (Number(kib) * 1024) / MB;
  }

  for (const attack of ATTACKS) {
    it(`of ${attack.name} is refused, and nobody else waits or pays for it`, async () => {
      const body = attack.body();
      const beforeMb = await gatewayMb();

      const longestMs = await whileAnotherStreams(mesh.url, () => send(attack, body));

      assert(longestMs < MAX_HEALTH_MS, `a probe waited for ${longestMs} ms`);
      const grownMb = (await gatewayMb()) - beforeMb;
      assert(grownMb < MAX_GROWTH_MB, `the gateway has grown by ${grownMb} MB`);
    });
  }
});
