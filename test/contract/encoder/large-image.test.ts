import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import sharp from 'sharp';
import { DecoderPool } from '#encoder/decoding/decoder-pool.ts';
import { bytesOfMb } from '#mesh/megabytes.ts';
import { resolveOptions } from '#mesh/options.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { visionRole } from '#vision/role.ts';

/** Side of a picture of more than 100 MiB, pixels. */
const SIDE = 6000;

/** Lets the children of this process write no file any more, on pain of death. */
function forbidFiles(): void {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  for (const pid of children.split(' ').filter((one) => one !== '')) {
    assert.equal(spawnSync('prlimit', ['--pid', pid, '--fsize=0']).status, 0);
  }
}

describe('a large image', () => {
  it('is decoded without a file', async (test) => {
    const options = resolveOptions(visionEncoderOptions, { model: '/nowhere' }, {});
    const pool = new DecoderPool({
      program: visionRole(options).decoder,
      numDecoders: 1,
      limits: { cpuMs: 60_000, memoryBytes: bytesOfMb(options.decodeMemoryMb) },
    });
    test.after(() => pool.close());
    const shape = { width: SIDE, height: SIDE, channels: 3, background: '#888' } as const;
    const turned = sharp({ create: shape }).withMetadata({ orientation: 3 });
    const bytes = await turned.webp({ effort: 0 }).toBuffer();

    const { signal } = new AbortController();
    const file = await pool.open(bytes, { client: '', requestId: '', signal });
    forbidFiles();
    const pixels = await file.load();
    file.close();

    assert.equal(pixels.length, SIDE * SIDE * 3);
  });
});
