import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { encodeItem } from '#mesh/encode/encoder-call.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { refusal } from '#test/refusal.ts';
import { HIDDEN_SIZE } from '#test/unit/encoder/doubles.ts';
import { constantFlac } from '#test/unit/speech-encoder/hostile-audio.ts';
import { wavFile } from '#test/unit/speech-encoder/wav-file.ts';
import { firstOf, HeldContent, startSpeech } from './harness.ts';

const FIXTURES = join(PACKAGE_ROOT, 'test/testdata/audio-formats');

function fixture(name: string): Buffer {
  return readFileSync(join(FIXTURES, name));
}

/** Returns 1.2 s of 16 kHz mono PCM, the samples of speech.wav. */
function livePcm(): Buffer {
  return fixture('speech.wav').subarray(-38_400);
}

describe('a speech encoder', () => {
  for (const file of ['speech.wav', 'speech.mp3', 'speech.flac', 'speech.ogg', 'speech.webm']) {
    it(`encodes ${file}`, async (test) => {
      const { encode } = await startSpeech(test);

      const answer = await encode({ header: {}, content: fixture(file) });

      assert.equal(answer.durationMs, 1200);
      assert.ok(answer.numRows > 0);
    });
  }

  it('answers a file and the same samples as FLAC alike, whoever wrote it', async (test) => {
    const { encode } = await startSpeech(test);
    const original = await encode({ header: {}, content: fixture('command.wav') });

    for (const encoder of ['libsndfile', 'sox', 'flac8', 'ffmpeg', 'ffmpeg-pipe']) {
      const answer = await encode({ header: {}, content: fixture(`command-${encoder}.flac`) });
      assert.equal(answer.durationMs, original.durationMs, encoder);
      assert.equal(answer.numRows, original.numRows, encoder);
    }
  });

  it('refuses 28 kB that are an hour of samples', async (test) => {
    const { encode } = await startSpeech(test);

    await assert.rejects(
      encode({ header: {}, content: constantFlac(800) }),
      refusal('PAYLOAD_TOO_LARGE', /longer than 900 seconds/),
    );
  });

  it('encodes a recording that is sent while it is made', async (test) => {
    const { client, tower } = await startSpeech(test);
    const content = new HeldContent();
    const options = { hiddenSize: HIDDEN_SIZE, signal: new AbortController().signal };
    const header = { mediaType: 'audio/L16;rate=16000' };

    const events = encodeItem(client, { header, content }, options);
    const planned = firstOf(events, 'plan');
    for (let at = 0; at < 38_400; at += 3200) content.push(livePcm().subarray(at, at + 3200));
    content.end();
    const plan = await planned;
    await firstOf(events, 'done');

    assert.ok(plan.kind === 'plan');
    assert.equal(plan.plan.numRows, 19);
    assert.equal(plan.plan.durationMs, 1200);
    assert.equal(plan.plan.contentHash.length, 32);
    assert.deepEqual(tower.trace, ['encode 1']);
  });

  it('refuses a live recording at the chunk that makes it too long', async (test) => {
    const { encode } = await startSpeech(test, { options: { maxAudioSeconds: 1 } });
    const content = new HeldContent();
    content.push(livePcm());
    const header = { mediaType: 'audio/L16;rate=16000' };

    await assert.rejects(
      encode({ header, content }),
      refusal('PAYLOAD_TOO_LARGE', /longer than 1 seconds, the most/),
    );
    content.end();
  });

  it('does not take raw samples at another rate for the same sound', async (test) => {
    const { encode } = await startSpeech(test);
    const content = livePcm();

    const fast = await encode({ header: { mediaType: 'audio/L16;rate=16000' }, content });
    const slow = await encode({ header: { mediaType: 'audio/L16;rate=8000' }, content });

    assert.deepEqual(fast.contentHash, slow.contentHash);
    assert.equal(slow.cacheHit, false);
    assert.equal(slow.durationMs, 2400);
  });

  it('refuses ten thousand seconds, no samples, noise and a rate left out', async (test) => {
    const { encode } = await startSpeech(test, { options: { maxItemMb: 200 } });
    const long = wavFile([], { sampleType: 'uint8', sampleRateHz: 4000, announcedBytes: 0 });
    const tenThousandSeconds = Buffer.concat([long, Buffer.alloc(40_000_000, 128)]);
    const send = (content: Uint8Array, mediaType = '') =>
      encode({ header: { mediaType }, content });

    await assert.rejects(
      send(tenThousandSeconds),
      refusal('PAYLOAD_TOO_LARGE', /longer than 900 seconds/),
    );
    await assert.rejects(
      send(wavFile([], { sampleType: 'int16' })),
      refusal('UNSUPPORTED_MEDIA', /no samples/),
    );
    await assert.rejects(send(Buffer.from('zzzz')), refusal('UNSUPPORTED_MEDIA', /not a WAV/));
    await assert.rejects(
      send(livePcm(), 'audio/L16'),
      refusal('UNSUPPORTED_MEDIA', /say the rate/),
    );
  });
});
