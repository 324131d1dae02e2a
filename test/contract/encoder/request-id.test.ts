import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EngineError } from '#native';
import { memoryLog } from '#test/memory-log.ts';
import { pngOf, startVision } from './harness.ts';

const CONTENT = Buffer.from('no image');

describe('the log of an encoder', () => {
  it('names the request whose item is refused, and not what the item was', async (test) => {
    const { log, lines } = memoryLog();
    const { encode } = await startVision(test, { log });

    await assert.rejects(encode({ header: { requestId: 'chat-1' }, content: CONTENT }));

    const { msg, request_id, reason } = lines.at(-1) ?? {};
    assert.deepEqual([msg, request_id, reason], ['item refused', 'chat-1', 'UNSUPPORTED_MEDIA']);
  });

  it('names the request that comes with a header it cannot answer', async (test) => {
    const { log, lines } = memoryLog();
    const { encode } = await startVision(test, { log });
    const header = { requestId: 'chat-2', expectedFingerprint: 'another' };

    await assert.rejects(encode({ header, content: CONTENT }));

    assert.equal(lines.at(-1)?.request_id, 'chat-2');
    assert.equal(lines.at(-1)?.reason, 'MODEL_NOT_FOUND');
  });

  it('warns of an item that the tower fails on', async (test) => {
    const { log, lines } = memoryLog();
    const load = async () => {
      throw new EngineError('ENGINE_FAILED', 'out of memory');
    };
    const { encode } = await startVision(test, { options: { lazy: true }, load, log });

    await assert.rejects(encode({ header: { requestId: 'chat-3' }, content: await pngOf(1) }));

    const { level, msg, request_id } = lines.at(-1) ?? {};
    assert.deepEqual([level, request_id], [40, 'chat-3']);
    assert.match(msg ?? '', /item failed: .*out of memory/);
  });

  it('cuts a name that is too long and escapes what would break a line', async (test) => {
    const { log, lines } = memoryLog();
    const { encode } = await startVision(test, { log });

    const requestId = `a\n${'b'.repeat(10_000)}`;
    await assert.rejects(encode({ header: { requestId }, content: CONTENT }));

    assert.match(lines.at(-1)?.request_id ?? '', /^a\\u000ab{1,200}…$/);
  });

  it('does not ask for a name, and a name does not hide an item from the cache', async (test) => {
    const { encode } = await startVision(test);
    const content = await pngOf(7);

    await encode({ header: { requestId: 'chat-4' }, content });

    assert.equal((await encode({ header: { requestId: 'chat-5' }, content })).cacheHit, true);
    assert.equal((await encode({ header: {}, content })).cacheHit, true);
  });
});
