import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { wavFile } from '#gateway/console/chat/wav.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

describe('wavFile', () => {
  it('writes what a recorder writes: the same bytes for the same samples', () => {
    const path = join(PACKAGE_ROOT, 'deploy/models/phone-nano/media/audio77.wav');
    const file = readFileSync(path);
    const samples = new Int16Array(
      file.buffer.slice(file.byteOffset + 44, file.byteOffset + file.length),
    );

    const written = wavFile(
      Float32Array.from(samples, (sample) => sample / 0x8000),
      16_000,
    );

    assert.deepEqual(Buffer.from(written), file);
  });

  it('clips what is too loud', () => {
    const view = new DataView(wavFile(Float32Array.of(1.5, -1.5, 1), 8000).buffer);

    const samples = [0, 1, 2].map((i) => view.getInt16(44 + i * 2, true));
    assert.deepEqual(samples, [32_767, -32_768, 32_767]);
    assert.equal(view.getUint32(24, true), 8000);
    assert.equal(view.getUint32(40, true), 6);
  });

  it('writes a file without samples', () => {
    assert.equal(wavFile(new Float32Array(0), 16_000).length, 44);
  });
});
