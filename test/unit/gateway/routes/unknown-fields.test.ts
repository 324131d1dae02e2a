import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fastify from 'fastify';
import { reportUnknownFields } from '#gateway/routes/unknown-fields.ts';
import { memoryLog } from '#test/memory-log.ts';

type Reported = Parameters<typeof reportUnknownFields>[0];

const WARN = 40;
const INFO = 30;

/** Reports fields for one request; returns the header and the lines of the log. */
async function report(fields: Reported) {
  const { log, lines } = memoryLog();
  const app = fastify({ genReqId: () => 'req' });
  app.get('/', async (request, reply) => {
    reportUnknownFields(fields, log, { request, reply });
    return 'ok';
  });
  const { headers } = await app.inject({ url: '/' });
  return { header: headers['x-autoglm-warning'], lines };
}

describe('reportUnknownFields', () => {
  it('warns of a misspelled field in the header and the log', async () => {
    const { header, lines } = await report([{ path: 'temprature', meant: 'temperature' }]);

    assert.equal(header, 'temprature is not known (did you mean temperature?)');
    const [line] = lines;
    assert.equal(line?.level, WARN);
    assert.equal(line.request_id, 'req');
    assert.match(line.msg, /temprature is not known \(did you mean temperature\?\)/);
  });

  it('only mentions in the log a field that is near none', async () => {
    const { header, lines } = await report([{ path: 'frobnicate', meant: undefined }]);

    assert.equal(header, 'frobnicate is not known');
    assert.equal(lines[0]?.level, INFO);
  });

  it('says nothing without such fields', async () => {
    assert.deepEqual(await report([]), { header: undefined, lines: [] });
  });

  it('cuts a long name and shows no character that a header may not have', async () => {
    const { header } = await report([{ path: `a\r\nx: 1é${'y'.repeat(1000)}`, meant: undefined }]);

    assert.match(String(header), /^a\?\?x: 1\?y{72} is not known$/);
  });
});
