import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import { readyEncoders } from '#test/ready-encoders.ts';
import { refusal } from '#test/refusal.ts';
import { statusOf } from '#test/scripted-instance.ts';
import { settled, until } from '#test/unit/encoder/doubles.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import {
  DONE,
  type EncodeScript,
  encoded,
  type FakeEncoder,
  planOf,
  rowsOf,
} from './fake-encoder.ts';
import { messages, startOf } from './harness.ts';
import { IMAGE, type MediaBackbone, startMedia } from './media-harness.ts';

const PROMPT = [5, IMAGE, 6];

/** Makes the first call to any of the encoders play `failing`; later ones go well. */
function failFirst(encoders: readonly FakeEncoder[], failing: EncodeScript): void {
  let isFirst = true;
  for (const encoder of encoders) {
    encoder.script = (call) => {
      const script = isFirst ? failing : encoded;
      isFirst = false;
      return script(call);
    };
  }
}

const numCalls = (encoders: readonly FakeEncoder[]) => encoders.map((one) => one.contents.length);

/** Asserts that a backbone has leaked nothing and still answers text. */
async function assertUnharmed({ ask, backbone, metric }: MediaBackbone): Promise<void> {
  const text = await ask([1, 2, 3], []);
  assert.equal(text.answers[0]?.tokenIds.length, 12);
  assert.equal(backbone.scheduler.pool.numFree, 64);
  assert.equal(await metric('media_buffer_bytes'), 0);
}

describe('an encoder that fails', () => {
  const failures: readonly { readonly name: string; readonly script: EncodeScript }[] = [
    {
      name: 'before its plan',
      script: async function* () {
        yield* [];
        throw new MeshError('QUEUE_FULL', 'too much to do');
      },
    },
    {
      name: 'between its rows',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 1);
        throw new MeshError('ENGINE_FAILED', 'the tower broke');
      },
    },
    {
      name: 'with an error nobody foresaw',
      script: async function* (call) {
        yield planOf(call);
        throw new Error('bug');
      },
    },
  ];
  for (const { name, script } of failures) {
    it(`${name} costs no answer where there is another`, async (test) => {
      const media = await startMedia(test, { numVision: 2 });
      failFirst(media.vision, script);

      const { answers } = await media.ask(PROMPT, ['4 cats']);

      assert.equal(answers[0]?.tokenIds.length, 12);
      assert.deepEqual(numCalls(media.vision), [1, 1]);
      assert.equal(await media.metric('encode_requests', { result: 'failed' }), 1);
      assert.equal(await media.metric('encode_requests', { result: 'encoded' }), 1);
    });
  }

  it('by dying in the middle costs no answer where there is another', async (test) => {
    const { ask, vision } = await startMedia(test, { numVision: 2 });
    for (const encoder of vision) {
      encoder.script = async function* (call) {
        const others = vision.filter((one) => one !== encoder);
        if (others.some(({ contents }) => contents.length > 0)) return yield* encoded(call);
        yield planOf(call);
        yield rowsOf(0, 1);
        await encoder.stop();
      };
    }

    const { answers } = await ask(PROMPT, ['4 cats']);

    assert.equal(answers[0]?.tokenIds.length, 12);
    assert.deepEqual(numCalls(vision), [1, 1]);
  });

  it('is asked once, and its own failure reaches the client where there is no other', async (test) => {
    const media = await startMedia(test);
    failFirst(media.vision, async function* () {
      yield* [];
      throw new MeshError('QUEUE_FULL', 'too much to do', { retryAfterMs: 500 });
    });

    await assert.rejects(
      media.ask(PROMPT, ['4 cats']),
      refusal('QUEUE_FULL', /too much to do/, 'media[0]'),
    );

    assert.deepEqual(numCalls(media.vision), [1]);
    await assertUnharmed(media);
  });

  it('by dying is a 503 where there is no other, and text does not notice', async (test) => {
    const media = await startMedia(test);
    const [encoder] = media.vision;
    assert.ok(encoder);
    encoder.script = async function* (call) {
      yield planOf(call);
      await encoder.stop();
    };

    await assert.rejects(media.ask(PROMPT, ['4 cats']), refusal('NO_READY_ENDPOINT', /was lost/));

    await assertUnharmed(media);
    await assert.rejects(
      media.ask(PROMPT, ['4 cats']),
      refusal('NO_READY_ENDPOINT', /no vision encoder is ready \(1 configured\)/, 'media[0]'),
    );
  });

  it('leaves the other items and requests alone when it refuses one', async (test) => {
    const media = await startMedia(test, { numVision: 2 });
    for (const encoder of media.vision) {
      encoder.script = async function* (call) {
        if (call.bytes.toString() === '1 bad') throw new MeshError('UNSUPPORTED_MEDIA', 'no image');
        yield* encoded(call);
      };
    }

    const [refused, answered] = await Promise.allSettled([
      media.ask([5, IMAGE, IMAGE], ['4 cats', '1 bad']),
      media.ask([7, IMAGE], ['4 cats']),
    ]);

    assert.ok(refused.status === 'rejected');
    assert.ok(refusal('UNSUPPORTED_MEDIA', /no image/, 'media[1]')(refused.reason));
    assert.equal(answered.status, 'fulfilled');
    assert.equal(await media.metric('encode_requests', { result: 'refused' }), 1);
    await assertUnharmed(media);
  });
});

describe('the choice of an encoder', () => {
  it('is the same for the same content', async (test) => {
    const options = { embeddingCacheMb: 0 };
    const { ask, vision } = await startMedia(test, { numVision: 3, options });

    for (const first of [10, 20, 30]) await ask([first, IMAGE, 6], ['4 cats']);

    assert.deepEqual(numCalls(vision).toSorted(), [0, 0, 3]);
  });

  it('spreads different content', async (test) => {
    const { ask, vision } = await startMedia(test, { numVision: 2 });

    for (const n of ids(0, 12)) await ask(PROMPT, [`2 cats, ${n}`]);

    assert.ok(Math.min(...numCalls(vision)) > 0, `${numCalls(vision)}`);
  });

  it('comes back to an encoder that was started again', async (test) => {
    const { ask, vision, metric, backbone } = await startMedia(test);
    const [encoder] = vision;
    assert.ok(encoder);
    const { address } = encoder;
    await encoder.stop();
    while ((await metric('encoder_endpoints_ready')) > 0);
    await encoder.start(backbone.model.fingerprint, { listen: address });
    while ((await metric('encoder_endpoints_ready')) < 1);

    const { answers } = await ask(PROMPT, ['4 cats']);

    assert.equal(answers[0]?.tokenIds.length, 12);
  });

  it('asks for no more items at once than it may', async (test) => {
    const { ask, vision } = await startMedia(test, { options: { maxEncodeStreams: 2 } });
    let [numOpen, most] = [0, 0];
    for (const encoder of vision) {
      encoder.script = async function* (call) {
        most = Math.max(most, ++numOpen);
        await settled();
        yield* encoded(call);
        numOpen--;
      };
    }

    await ask([IMAGE, IMAGE, IMAGE, IMAGE, 6], ['1 a', '2 b', '3 c', '4 d']);

    assert.equal(most, 2);
    assert.deepEqual(numCalls(vision), [4]);
  });

  it('sends other items past an encoder that hangs, whose slots they do not need', async (test) => {
    const options = { maxEncodeStreams: 2, embeddingCacheMb: 0 };
    const { ask, vision } = await startMedia(test, { numVision: 2, options });
    const [hanging, fine] = vision;
    assert.ok(hanging && fine);
    hanging.script = async function* ({ signal }) {
      await once(signal, 'abort');
    };
    const abort = new AbortController();
    const stuck = ids(0, 12).map((n) =>
      ask(PROMPT, [`2 stuck, ${n}`], { signal: abort.signal }).catch(() => {}),
    );
    while (hanging.headers.length < 2) await settled();

    for (const n of ids(0, 6)) await ask(PROMPT, [`2 cats, ${n}`]);

    assert.equal(hanging.headers.length, 2);
    abort.abort();
    await Promise.all(stuck);
  });

  it('leaves out an encoder that drains', async (test) => {
    const { ask, vision, metric } = await startMedia(test, { numVision: 2 });
    const [first, second] = vision;
    assert.ok(first && second);
    first.health.setServing(false);
    while ((await metric('encoder_endpoints_ready')) > 1);

    for (const n of ids(0, 6)) await ask(PROMPT, [`2 cats, ${n}`]);

    assert.deepEqual(numCalls(vision), [0, 6]);
  });
});

describe('the metric of ready encoders', () => {
  it('names each by its address', async (test) => {
    const { vision, speech, metric, channel } = await startMedia(test, {
      numVision: 2,
      numSpeech: 1,
    });
    const [first] = vision;
    assert.ok(first);

    first.health.setServing(false);
    await readyEncoders(channel, 2);

    const ready = [...vision, ...speech].map(({ address }) =>
      metric('encoder_endpoints_ready', { encoder: address }),
    );
    assert.deepEqual(await Promise.all(ready), [0, 1, 1]);
    assert.equal(await metric('encoder_endpoints_ready', { modality: 'image' }), 1);
  });
});

describe('an encoder that changes its model without an outage', () => {
  it('is refused while it runs another checkpoint, and asked again afterwards', async (test) => {
    const prepare = ([encoder]: readonly FakeEncoder[]) => {
      if (encoder) encoder.status = statusOf({ role: 'vision-encoder' });
    };
    const media = await startMedia(test, { prepare });
    const [encoder] = media.vision;
    assert.ok(encoder?.status);

    encoder.model = { modelId: 'huge', fingerprint: 'b2' };
    encoder.status.change({ modelId: 'huge', fingerprint: 'b2' });
    await readyEncoders(media.channel, 0);
    await assert.rejects(
      media.ask(PROMPT, ['4 cats']),
      refusal('NO_READY_ENDPOINT', /not of this model: it runs huge with weights b2/, 'media[0]'),
    );
    encoder.model = {};
    encoder.status.change({ modelId: 'tiny', fingerprint: 'a1' });
    await readyEncoders(media.channel, 1);

    const { answers } = await media.ask(PROMPT, ['4 cats']);
    assert.equal(answers[0]?.tokenIds.length, 12);
    assert.deepEqual(encoder.contents, ['4 cats']);
  });
});

describe('an encoder that breaks the contract', () => {
  const breaches: readonly {
    readonly name: string;
    readonly script: EncodeScript;
    readonly message: RegExp;
  }[] = [
    {
      name: 'rows of another width',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 4, { width: 32 });
      },
      message: /shape \[4,32\], expected \[n, 64\]/,
    },
    {
      name: 'rows of an unknown type',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 4, { dtype: DType.D_TYPE_UNSPECIFIED });
      },
      message: /dtype/,
    },
    {
      name: 'bytes that do not fill the shape',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 4, { lostBytes: 4 });
      },
      message: /1020 bytes .* which has 1024/,
    },
    {
      name: 'fewer rows than planned',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 3);
        yield DONE;
      },
      message: /3 of 4 rows/,
    },
    {
      name: 'more rows than planned',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 5);
      },
      message: /5 rows where the plan says 4/,
    },
    {
      name: 'rows out of order',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(2, 2);
      },
      message: /row 2 where 0 was due/,
    },
    {
      name: 'an end without "done"',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 4);
      },
      message: /before "done"/,
    },
    {
      name: 'a plan without rows',
      script: async function* (call) {
        yield planOf(call, 0);
        yield DONE;
      },
      message: /a plan without rows/,
    },
    {
      name: 'a plan for other content',
      script: async function* (call) {
        yield planOf({ ...call, bytes: Buffer.from('4 dogs') });
      },
      message: /a plan for other content/,
    },
    {
      name: 'rows of two types',
      script: async function* (call) {
        yield planOf(call);
        yield rowsOf(0, 2);
        yield rowsOf(2, 2, { dtype: DType.D_TYPE_BFLOAT16, lostBytes: 256 });
        yield DONE;
      },
      message: /float32 and of bfloat16/,
    },
  ];
  for (const { name, script, message } of breaches) {
    it(`is refused for ${name}`, async (test) => {
      const media = await startMedia(test);
      failFirst(media.vision, script);

      await assert.rejects(
        media.ask(PROMPT, ['4 cats']),
        refusal('ENGINE_FAILED', message, 'media[0]'),
      );

      await assertUnharmed(media);
      const { answers } = await media.ask(PROMPT, ['4 cats']);
      assert.equal(answers[0]?.tokenIds.length, 12);
    });
  }

  it('is refused for another plan than prompts were laid out by', async (test) => {
    const media = await startMedia(test, { options: { embeddingCacheMb: 0 } });
    await media.ask(PROMPT, ['4 cats']);
    failFirst(media.vision, async function* (call) {
      yield planOf(call, 5);
      yield rowsOf(0, 5);
      yield DONE;
    });

    await assert.rejects(
      media.ask([7, IMAGE], ['4 cats']),
      refusal('ENGINE_FAILED', /plans 5 rows of 1×1×5 where an encoder planned 4 rows of 1×1×4/),
    );

    await assertUnharmed(media);
    const { answers } = await media.ask([8, IMAGE], ['4 cats']);
    assert.equal(answers[0]?.tokenIds.length, 12);
  });
});

describe('an encoder of another model', () => {
  /** Resolves to the first refusal whose reason is not that no encoder is ready. */
  async function mismatch({ ask }: MediaBackbone): Promise<unknown> {
    for (;;) {
      const outcome = await ask(PROMPT, ['4 cats']).catch((error: unknown) => error);
      if (!(outcome instanceof Error) || !/is ready/.test(outcome.message)) return outcome;
    }
  }

  it('is refused with a message that names both checkpoints', async (test) => {
    const media = await startMedia(test, {
      numReady: 0,
      prepare: ([encoder]) => {
        if (encoder) encoder.model = { modelId: 'other', fingerprint: 'f'.repeat(64) };
      },
    });

    const error = await mismatch(media);

    const own = media.backbone.model.fingerprint;
    const both = new RegExp(`runs other with weights f{64}; this backbone runs .* weights ${own}`);
    assert.ok(refusal('NO_READY_ENDPOINT', both, 'media[0]')(error));
    assert.deepEqual(numCalls(media.vision), [0]);
  });

  it('is refused where its rows have another width, or it encodes something else', async (test) => {
    const narrow = await startMedia(test, {
      numReady: 0,
      prepare: ([encoder]) => {
        if (encoder) encoder.model = { hiddenSize: 32 };
      },
    });
    const deaf = await startMedia(test, {
      numReady: 0,
      prepare: ([encoder]) => {
        if (encoder) encoder.model = { modality: Modality.MODALITY_AUDIO };
      },
    });

    assert.ok(
      refusal('NO_READY_ENDPOINT', /rows have 32 values.*takes 64/)(await mismatch(narrow)),
    );
    assert.ok(refusal('NO_READY_ENDPOINT', /does not encode image/)(await mismatch(deaf)));
  });

  it('is left for another one when it was replaced since it was asked', async (test) => {
    const { ask, vision } = await startMedia(test, { numVision: 2 });
    failFirst(vision, async function* () {
      yield* [];
      throw new MeshError('MODEL_NOT_FOUND', 'this encoder runs other weights');
    });

    const { answers } = await ask(PROMPT, ['4 cats']);

    assert.equal(answers[0]?.tokenIds.length, 12);
    assert.deepEqual(numCalls(vision), [1, 1]);
  });
});

describe('media that are refused', () => {
  it('reach no encoder where their hash is missing', async (test) => {
    const media = await startMedia(test);
    const start = startOf({
      prompt: { ...startOf().prompt, media: [{ modality: 1, sizeBytes: 3 }] },
    });
    const sent = messages({ $case: 'start', value: start });

    await assert.rejects(
      collect(media.client.generate(sent)),
      refusal('INVALID_REQUEST', /32 bytes, got 0/, 'media[0]'),
    );

    assert.deepEqual(numCalls(media.vision), [0]);
    await assertUnharmed(media);
  });

  it('are more bytes than a request may have', async (test) => {
    const media = await startMedia(test, { options: { maxRequestMediaMb: 10 / 1024 ** 2 } });

    await assert.rejects(
      media.ask(PROMPT, ['4 large cats']),
      refusal('PAYLOAD_TOO_LARGE', /12 bytes, at most 10/),
    );
    await assertUnharmed(media);
  });

  it('wait for nobody: what a held request takes is refused to the next', async (test) => {
    const media = await startMedia(test, { options: { mediaBufferMb: 10 / 1024 ** 2 } });
    const [encoder] = media.vision;
    assert.ok(encoder);
    const cancel = new AbortController();
    encoder.script = async function* (call) {
      yield planOf(call);
      await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
    };
    const held = media.ask(PROMPT, ['4 cats'], { signal: cancel.signal });
    await until(() => encoder.contents.length === 1);

    await assert.rejects(media.ask(PROMPT, ['4 cats']), refusal('QUEUE_FULL', /6 more do not fit/));

    cancel.abort();
    await assert.rejects(held, { name: 'AbortError' });
    await until(() => encoder.numCancelled === 1);
    await assertUnharmed(media);
  });

  it('have more placeholders in the prompt than items', async (test) => {
    const media = await startMedia(test);

    await assert.rejects(
      media.ask([5, IMAGE, IMAGE], ['4 cats']),
      refusal('INVALID_REQUEST', /2 placeholders for image items and names 1/, 'prompt'),
    );

    assert.deepEqual(numCalls(media.vision), [0]);
    await assertUnharmed(media);
  });
});
