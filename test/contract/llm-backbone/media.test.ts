import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { deferred } from '#test/contract/gateway/media/deferred.ts';
import { refusal } from '#test/refusal.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect, finishedOf } from '#test/unit/llm-backbone/test-engine.ts';
import { chunksOf, encoded, mediaOf, planOf } from './fake-encoder.ts';
import { messages, startOf, startTestBackbone } from './harness.ts';
import { AUDIO, IMAGE, type MediaBackbone, modelWithTowers, startMedia } from './media-harness.ts';

describe('a request with images', () => {
  it('gives the decoder the rows in place of the placeholders', async (test) => {
    const { ask, decoder, vision, backbone } = await startMedia(test);

    const { events } = await ask([5, IMAGE, 6], ['4 cats']);

    assert.deepEqual(vision[0]?.contents, ['4 cats']);
    assert.equal(vision[0]?.headers[0]?.expectedFingerprint, backbone.model.fingerprint);
    const [rows, ...others] = decoder.mediaRows;
    assert.deepEqual(others, []);
    assert.ok(rows !== undefined && 'rows' in rows);
    assert.deepEqual([rows.firstToken, rows.numRows, rows.dtype], [1, 4, 'float32']);
    const values = new Float32Array(Uint8Array.from(rows.rows).buffer);
    assert.deepEqual([values.length, values[0], values[64], values[255]], [256, 0, 1, 3]);
    const accepted = events[0]?.$case === 'accepted' ? events[0].value : undefined;
    assert.equal(accepted?.numPromptTokens, 6);
    assert.equal(accepted?.numImageTokens, 4);
    assert.equal(finishedOf(events).numImageTokens, 4);
    assert.equal(finishedOf(events).numAudioTokens, 0);
  });

  it('is planned without computing: the tokens of its rows come back, and the encoder is left', async (test) => {
    const { ask, decoder, vision, metric } = await startMedia(test);
    const changes = { planOnly: true, output: { returnPromptTokenIds: true } };

    const { events } = await ask([5, IMAGE, 6], ['4 cats'], { changes });

    const planned = events[0]?.$case === 'accepted' ? events[0].value : undefined;
    assert.deepEqual(planned?.promptTokenIds, [5, IMAGE, IMAGE, IMAGE, IMAGE, 6]);
    assert.equal(planned?.numImageTokens, 4);
    assert.deepEqual(
      events.map(({ $case }) => $case),
      ['accepted', 'finished'],
    );
    assert.equal(finishedOf(events).numCompletionTokens, 0);
    assert.equal(vision[0]?.headers.length, 1);
    assert.deepEqual(decoder.mediaRows, []);
    assert.equal(await metric('request_success'), 0);
  });

  it('repeats free of charge: nothing is encoded, transferred or prefilled', async (test) => {
    const { ask, decoder, vision, metric } = await startMedia(test);
    const prompt = [...ids(0, 5), IMAGE, ...ids(100, 20)];
    const first = await ask(prompt, ['30 cats']);
    const received = await metric('embedding_received_bytes');
    assert.equal(received, 30 * 64 * 4);

    const second = await ask(prompt, ['30 cats']);

    assert.deepEqual(second.answers[0]?.tokenIds, first.answers[0]?.tokenIds);
    assert.ok(finishedOf(second.events).numCachedTokens >= 35);
    assert.equal(vision[0]?.contents.length, 1);
    assert.equal(await metric('encode_requests'), 1);
    assert.equal(await metric('embedding_received_bytes'), received);
    assert.equal(decoder.mediaRows.length, 1);
    assert.equal(await metric('prompt_image_tokens'), 60);
  });

  it('shares nothing that is cached with requests of another salt', async (test) => {
    const { ask, vision, metric } = await startMedia(test);
    const prompt = [...ids(100, 32), IMAGE, 6];
    const askSalted = async (cacheSalt: string) => {
      const { events } = await ask(prompt, ['4 cats'], { changes: { cacheSalt } });
      return finishedOf(events).numCachedTokens;
    };

    const cached = [];
    for (const salt of ['', 'a', 'b', 'a', '']) cached.push(await askSalted(salt));

    const [first, ...others] = cached;
    assert.deepEqual([first, ...others.slice(0, 2)], [0, 0, 0]);
    assert.ok(others.slice(2).every((count) => count === 32));
    assert.deepEqual(
      vision[0]?.headers.map(({ cacheSalt }) => cacheSalt),
      ['', 'a', 'b'],
    );
    assert.equal(await metric('encode_requests', { result: 'encoded' }), 3);
  });

  it('takes an image under another text from the embedding cache', async (test) => {
    const { ask, decoder, vision, metric } = await startMedia(test);
    await ask([5, IMAGE, 6], ['30 cats']);

    await ask([7, IMAGE, 8], ['30 cats']);

    assert.equal(vision[0]?.contents.length, 1);
    assert.equal(decoder.mediaRows.length, 2);
    assert.deepEqual([await metric('mm_cache_queries'), await metric('mm_cache_hits')], [1, 1]);
    assert.equal(await metric('embedding_cache_bytes'), 30 * 64 * 4);
  });

  it('encodes again what no cache keeps', async (test) => {
    const { ask, vision, metric } = await startMedia(test, { options: { embeddingCacheMb: 0 } });
    await ask([5, IMAGE, 6], ['30 cats']);

    await ask([7, IMAGE, 8], ['30 cats']);

    assert.equal(vision[0]?.contents.length, 2);
    assert.equal(await metric('encode_requests', { modality: 'image', result: 'encoded' }), 2);
  });

  it('encodes an image once for requests that want it at the same time', async (test) => {
    const { ask, vision, backbone } = await startMedia(test);
    const [encoder] = vision;
    assert.ok(encoder);
    const hold = deferred();
    encoder.script = async function* (call) {
      for await (const response of encoded(call)) {
        if (response.event?.$case === 'rows') await hold.promise;
        yield response;
      }
    };
    const answers = [ask([5, IMAGE, 6], ['4 cats']), ask([7, IMAGE, 8], ['4 cats'])];
    await until(() => backbone.scheduler.waiting.length === 2);
    hold.resolve();

    await Promise.all(answers);

    assert.equal(encoder.contents.length, 1);
  });

  it('encodes several items at the same time and orders their rows by the prompt', async (test) => {
    const { ask, vision, decoder } = await startMedia(test);
    const [encoder] = vision;
    assert.ok(encoder);
    encoder.script = async function* (call) {
      await until(() => encoder.contents.length === 3);
      yield* encoded(call);
    };

    await ask([5, IMAGE, 6, IMAGE, IMAGE], ['2 cats', '3 dogs', '4 cows']);

    assert.deepEqual(
      decoder.mediaRows.map(({ firstToken, numRows }) => [firstToken, numRows]),
      [
        [1, 2],
        [4, 3],
        [7, 4],
      ],
    );
  });

  it('prefills the text before an image while it is encoded', async (test) => {
    const { ask, vision, decoder, backbone } = await startMedia(test);
    const [encoder] = vision;
    assert.ok(encoder);
    const hold = deferred();
    encoder.script = async function* (call) {
      for await (const response of encoded(call)) {
        yield response;
        if (response.event?.$case === 'plan') await hold.promise;
      }
    };

    const answer = ask([...ids(0, 40), IMAGE, 6], ['4 cats']);
    await until(() => decoder.trace.includes('execute 32'));
    await until(() => backbone.scheduler.running.length === 0);
    const text = await ask([1, 2, 3], []);
    hold.resolve();
    await answer;

    assert.equal(text.answers[0]?.tokenIds.length, 12);
    assert.ok(decoder.trace.includes('execute 13'));
  });

  it('computes the rows once for all choices of a request', async (test) => {
    const { client, vision, decoder } = await startMedia(test);
    const start = startOf({
      prompt: {
        form: { $case: 'tokens', value: { tokenIds: [5, IMAGE, ...ids(100, 20)] } },
        media: [mediaOf('14 cats')],
      },
      sampling: { temperature: 1, numChoices: 2 },
    });
    const sent = messages({ $case: 'start', value: start }, ...chunksOf(['14 cats']));

    const { answers } = await collect(client.generate(sent), 2);

    assert.deepEqual(
      answers.map(({ tokenIds }) => tokenIds.length),
      [12, 12],
    );
    assert.equal(vision[0]?.contents.length, 1);
    assert.equal(decoder.mediaRows.length, 1);
  });

  it('continues an answer that broke off elsewhere, with the bytes sent again', async (test) => {
    const { ask } = await startMedia(test);
    const prompt = [5, IMAGE, 6];
    const whole = (await ask(prompt, ['4 cats'])).answers[0]?.tokenIds ?? [];
    const other = await startMedia(test);

    const resumed = await other.ask(prompt, ['4 cats'], {
      changes: { resume: { choices: [{ index: 0, tokenIds: whole.slice(0, 5) }] } },
    });

    assert.deepEqual(resumed.answers[0]?.tokenIds, whole.slice(5));
  });

  it('asks again for rows that were lost to a preemption', async (test) => {
    const prompts = [1, 2].map((n) => [n, IMAGE, ...ids(100 * n, 10)]);
    const send = ({ ask }: MediaBackbone) =>
      Promise.all(
        prompts.map((prompt, i) =>
          ask(prompt, [`36 cats, ${i}`], { changes: { sampling: { maxTokens: 40 } } }),
        ),
      );
    const calm = await send(await startMedia(test));
    const decoder = new FakeDecoder({ numBlocks: 8 });
    const crowded = await startMedia(test, { decoder, options: { embeddingCacheMb: 0 } });

    const answers = await send(crowded);

    assert.deepEqual(
      answers.map(({ answers: [first] }) => first?.tokenIds),
      calm.map(({ answers: [first] }) => first?.tokenIds),
    );
    assert.ok((await crowded.metric('num_preemptions')) > 0);
    assert.ok((await crowded.metric('encode_requests')) > 2);
  });

  it('ends its streams when it is cancelled', async (test) => {
    const { ask, vision, backbone, metric } = await startMedia(test);
    const [encoder] = vision;
    assert.ok(encoder);
    encoder.script = async function* (call) {
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
      yield* encoded(call);
    };
    const cancel = new AbortController();
    const answer = ask([5, IMAGE, 6], ['4 cats'], { signal: cancel.signal });
    await until(() => encoder.contents.length === 1);

    cancel.abort();

    await assert.rejects(answer, { name: 'AbortError' });
    await until(() => encoder.numCancelled === 1);
    assert.equal(backbone.scheduler.waiting.length, 0);
    assert.equal(await metric('media_buffer_bytes'), 0);
  });
});

describe('a request with audio', () => {
  it('goes to the speech encoder', async (test) => {
    const { ask, speech, vision } = await startMedia(test, { numSpeech: 1 });

    const { events } = await ask([5, AUDIO, 6], ['4 words'], { modality: Modality.MODALITY_AUDIO });

    assert.deepEqual(speech[0]?.contents, ['4 words']);
    assert.deepEqual(vision[0]?.contents, []);
    assert.equal(finishedOf(events).numAudioTokens, 4);
    const accepted = events[0]?.$case === 'accepted' ? events[0].value : undefined;
    assert.equal(accepted?.audioDurationMs, 4000);
  });

  it('says how many seconds would fit where it is too long', async (test) => {
    const { ask, speech } = await startMedia(test, { numVision: 0, numSpeech: 1 });

    const [encoder] = speech;
    assert.ok(encoder);
    encoder.script = async function* (call) {
      yield planOf(call);
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
    };

    await assert.rejects(
      ask([5, AUDIO, 6], ['600 words'], { modality: Modality.MODALITY_AUDIO }),
      refusal(
        'CONTEXT_LENGTH_EXCEEDED',
        /maximum context length is 512 tokens.* 602 input tokens.*600\.0 s of audio take 600 tokens, 509\.0 s would fit/,
      ),
    );
    await until(() => encoder.numCancelled === 1);
  });
});

describe('what a backbone offers', () => {
  it('is what the checkpoint reads and encoders are configured for', async (test) => {
    const { client, ask } = await startMedia(test);

    assert.deepEqual((await client.getModel({})).modalities, [Modality.MODALITY_IMAGE]);
    await assert.rejects(
      ask([5, AUDIO, 6], ['4 words'], { modality: Modality.MODALITY_AUDIO }),
      refusal('UNSUPPORTED_MEDIA', /set the key "speech-encoder" of llm-backbone/, 'media[0]'),
    );
  });

  it('leaves out what the checkpoint does not read', async (test) => {
    const model = modelWithTowers(test, { audio_config: undefined });
    const backbone = await startTestBackbone(new FakeDecoder(), { model });
    test.after(() => backbone.close());

    assert.deepEqual((await backbone.client.getModel({})).modalities, []);
  });
});
