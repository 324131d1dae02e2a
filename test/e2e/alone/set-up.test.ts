import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { autoglm, startMesh } from '#test/e2e/mesh.ts';

describe('a second start', () => {
  it('builds nothing', async () => {
    const { status, stderr } = await autoglm(['--version']);

    assert.equal(status, 0);
    assert.doesNotMatch(stderr, /\[set-up\]/);
  });

  it('is up in seconds', async () => {
    const startedMs = performance.now();

    const mesh = await startMesh();

    const seconds = (performance.now() - startedMs) / 1000;
    await mesh.stop();
    assert(seconds < 15, `ready after ${seconds.toFixed(1)} s`);
  });
});
