import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { DecoderPool } from '#encoder/decoding/decoder-pool.ts';
import { within } from '#test/bounded.ts';
import { refusal } from '#test/refusal.ts';
import { settled, until } from '#test/unit/encoder/doubles.ts';

const { signal } = new AbortController();

function poolOf(
  test: TestContext,
  { cpuMs = 60_000, numDecoders = 2, options = {} } = {},
): DecoderPool {
  const pool = new DecoderPool({
    program: {
      main: import.meta.resolve('#test/contract/encoder/misbehaving-decoder.ts'),
      options,
      what: 'image',
    },
    numDecoders,
    limits: { cpuMs, memoryBytes: 400e6 },
  });
  test.after(() => pool.close());
  return pool;
}

/** Decodes a file; returns its bytes and the id of the process that decoded it. */
async function decode(
  pool: DecoderPool,
  says: string,
  requestId = '',
  { stop = signal, client = '' } = {},
) {
  const work = async () => {
    const file = await pool.open(Buffer.from(says), { client, requestId, signal: stop });
    try {
      assert(file.facts.kind === 'image');
      return { pid: file.facts.width, bytes: Buffer.from(await file.load()) };
    } finally {
      file.close();
    }
  };
  return within(work(), { what: says });
}

/** Takes all descriptors that this process may have, of few; returns what gives them back. */
function takeDescriptors(): () => void {
  const limit = (numFiles: number) => {
    const args = ['--pid', String(process.pid), `--nofile=${numFiles}:`];
    assert.equal(spawnSync('prlimit', args).status, 0);
  };
  const before = spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout;
  limit(100);
  const taken: number[] = [];
  const giveBack = () => {
    for (const one of taken.splice(0)) closeSync(one);
    limit(Number(before));
  };
  for (;;) {
    try {
      taken.push(openSync('/dev/null', 'r'));
    } catch {
      return giveBack;
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe('a pool of decoders', () => {
  it('gives the bytes that a decoder made, and keeps the decoder for the next file', async (test) => {
    const pool = poolOf(test, { numDecoders: 1 });
    const large = 'x'.repeat(3_000_000);

    const [first, second] = [await decode(pool, large), await decode(pool, 'y')];

    assert.equal(first.bytes.toString(), large);
    assert.equal(second.bytes.toString(), 'y');
    assert.equal(first.pid, second.pid);
  });

  it('tells a decoder none of the secrets of its encoder', async (test) => {
    const secrets = {
      AUTOGLM_REGISTRY: 'etcd://me:secret@h:1',
      OTEL_EXPORTER_OTLP_HEADERS: 'secret',
    };
    Object.assign(process.env, secrets);
    const pool = poolOf(test, { numDecoders: 1 });
    test.after(() => {
      for (const name in secrets) delete process.env[name];
    });

    const environment = (await decode(pool, 'environment')).bytes.toString();

    assert.match(environment, /"PATH"/);
    assert.doesNotMatch(environment, /secret/);
  });

  it('passes a refusal on and keeps the decoder', async (test) => {
    const pool = poolOf(test, { numDecoders: 1 });
    const { pid } = await decode(pool, 'x');

    await assert.rejects(decode(pool, 'refuse'), refusal('UNSUPPORTED_MEDIA', /at all/));

    assert.equal((await decode(pool, 'x')).pid, pid);
  });

  const faults = [
    { says: 'spin', reason: 'UNSUPPORTED_MEDIA', why: /more than 1 seconds.*decode-timeout-s/ },
    { says: 'crash', reason: 'UNSUPPORTED_MEDIA', why: /ended its decoder by SIGSEGV/ },
    { says: 'grow', reason: 'PAYLOAD_TOO_LARGE', why: /memory.*decode-memory-mb/ },
    { says: 'exit', reason: 'NO_READY_ENDPOINT', why: /ended by status 3; try again/ },
    { says: 'wait', reason: 'NO_READY_ENDPOINT', why: /stood still/ },
  ] as const;
  for (const { says, reason, why } of faults) {
    it(`fails the file alone and replaces the decoder: ${says}`, async (test) => {
      // To fill memory takes a busy machine more than a second.
      const cpuMs = says === 'grow' ? 60_000 : 1000;
      const pool = poolOf(test, { numDecoders: 1, cpuMs });
      const { pid } = await decode(pool, 'x');

      await assert.rejects(decode(pool, says), refusal(reason, why));

      assert.notEqual((await decode(pool, 'x')).pid, pid);
      await until(() => !isAlive(pid));
    });
  }

  it('ends the decoder of a caller who leaves', async (test) => {
    const pool = poolOf(test, { numDecoders: 1 });
    const { pid } = await decode(pool, 'x');
    const caller = new AbortController();

    const decoding = decode(pool, 'spin', '', { stop: caller.signal });
    // The file is with the decoder.
    await settled();
    caller.abort(new Error('left'));

    await assert.rejects(decoding, /left/);
    await until(() => !isAlive(pid));
    assert.equal((await decode(pool, 'x')).bytes.toString(), 'x');
  });

  it('has a decoder for another request while one request sends files that never end', async (test) => {
    const pool = poolOf(test, { numDecoders: 2 });
    const attacker = new AbortController();
    const attack = Array.from({ length: 8 }, () =>
      decode(pool, 'spin', 'one', { stop: attacker.signal }),
    );
    const ends = Promise.allSettled(attack);

    const answer = await decode(pool, 'x', 'another');

    assert.equal(answer.bytes.toString(), 'x');
    attacker.abort();
    await ends;
  });

  it('has a decoder for another client while one has all by several requests', async (test) => {
    const pool = poolOf(test, { numDecoders: 2 });
    const attacker = new AbortController();
    const attack = Array.from({ length: 8 }, (_, i) =>
      decode(pool, 'spin', `request ${i}`, { stop: attacker.signal, client: 'one' }),
    );
    const ends = Promise.allSettled(attack);

    const answer = await decode(pool, 'x', 'request 0', { client: 'another' });

    assert.equal(answer.bytes.toString(), 'x');
    attacker.abort();
    await ends;
  });

  it('fails files while the system starts no process, and goes on when it does', async (test) => {
    const pool = poolOf(test, { numDecoders: 1 });
    const giveBack = takeDescriptors();
    test.after(giveBack);

    for (const file of ['x', 'y']) {
      await assert.rejects(decode(pool, file), refusal('NO_READY_ENDPOINT', /start.*EMFILE/));
    }
    giveBack();

    assert.equal((await decode(pool, 'z')).bytes.toString(), 'z');
  });

  it('fails a file whose decoder the system refuses at once', async (test) => {
    const options = { long: 'x'.repeat(1 << 20) };
    const pool = poolOf(test, { numDecoders: 1, options });

    for (const file of ['x', 'y']) {
      await assert.rejects(decode(pool, file), refusal('NO_READY_ENDPOINT', /start.*E2BIG/));
    }
  });

  it('ends its decoders when it is closed', async (test) => {
    const pool = poolOf(test);
    const { pid } = await decode(pool, 'x');

    pool.close();

    await until(() => !isAlive(pid));
  });
});
