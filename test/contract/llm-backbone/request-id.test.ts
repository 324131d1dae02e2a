import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deferred } from '#test/contract/gateway/media/deferred.ts';
import { memoryLog } from '#test/memory-log.ts';
import { until } from '#test/unit/encoder/doubles.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import { encoded } from './fake-encoder.ts';
import { requestsOf, startOf, startTestBackbone } from './harness.ts';
import { IMAGE, startMedia } from './media-harness.ts';

describe('the name of a request', () => {
  it('stands in the line about its refusal, without what it asked', async (test) => {
    const { log, lines } = memoryLog();
    const backbone = await startTestBackbone(new FakeDecoder(), {}, log);
    test.after(backbone.close);
    const start = startOf({ requestId: 'chat-1', model: 'gpt' });

    await assert.rejects(collect(backbone.client.generate(requestsOf(start))));

    const { msg, request_id, reason } = lines.at(-1) ?? {};
    assert.deepEqual([msg, request_id, reason], ['request refused', 'chat-1', 'MODEL_NOT_FOUND']);
    assert.ok(!JSON.stringify(lines).includes('gpt'));
  });

  it('stands in the warning about an engine that failed it', async (test) => {
    const { log, lines } = memoryLog();
    const decoder = new FakeDecoder();
    const backbone = await startTestBackbone(decoder, {}, log);
    test.after(backbone.close);
    decoder.failNext('device is gone');

    const start = startOf({ requestId: 'chat-2' });
    await assert.rejects(collect(backbone.client.generate(requestsOf(start))));

    const { level, msg, request_id } = lines.at(-1) ?? {};
    assert.deepEqual([level, request_id], [40, 'chat-2']);
    assert.match(msg ?? '', /request failed: .*device is gone/);
  });

  it('is given by the backbone where the caller gave none', async (test) => {
    const { log, lines } = memoryLog();
    const backbone = await startTestBackbone(new FakeDecoder(), {}, log);
    test.after(backbone.close);

    await assert.rejects(collect(backbone.client.generate(requestsOf(startOf({ model: 'gpt' })))));

    assert.match(lines.at(-1)?.request_id ?? '', /^[0-9a-f-]{36}$/);
  });

  it('goes with its items to the encoder, the first one with an item that several want', async (test) => {
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

    const first = ask([5, IMAGE, 6], ['4 cats'], { changes: { requestId: 'chat-3' } });
    await until(() => encoder.headers.length === 1);
    const second = ask([7, IMAGE, 8], ['4 cats'], { changes: { requestId: 'chat-4' } });
    await until(() => backbone.scheduler.waiting.length === 2);
    hold.resolve();
    await Promise.all([first, second]);
    await ask([7, IMAGE, 8], ['3 dogs'], { changes: { requestId: 'chat-5' } });

    assert.deepEqual(
      encoder.headers.map(({ requestId }) => requestId),
      ['chat-3', 'chat-5'],
    );
  });
});
