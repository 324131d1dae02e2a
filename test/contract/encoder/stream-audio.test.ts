import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { programArgs } from '#test/program.ts';
import { startSpeech } from './harness.ts';

describe('the example of a pipeline between services', () => {
  it('streams a recording in and prints the rows that come out', async (test) => {
    const { process: encoder, tower } = await startSpeech(test);
    const wav = readFileSync(join(PACKAGE_ROOT, 'test/testdata/audio-formats/speech.wav'));
    const example = programArgs('deploy/examples/stream-audio');
    const child = spawn(process.execPath, [...example, encoder.address], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');

    const pcm = wav.subarray(-38_400);
    for (let at = 0; at < pcm.length; at += 6400) child.stdin.write(pcm.subarray(at, at + 6400));
    child.stdin.end();
    const printed = await text(child.stdout);

    assert.deepEqual(await exited, [0, null]);
    assert.match(printed, /: 1200 ms give 19 rows\nrows 0 to 18: float32 \[19, 8\]\nencoded in/);
    assert.deepEqual(tower.trace, ['encode 1']);
  });
});
