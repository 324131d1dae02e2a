import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sseData } from '#deploy/cli/chat/sse-data.ts';
import { formatTable } from '#deploy/cli/table.ts';
import { curlLine, gatewayUrl } from '#deploy/local/readiness.ts';
import { collect } from './collect.ts';

describe('formatTable', () => {
  it('aligns the columns under their names', () => {
    const rows = [
      { process: 'gateway', state: 'ready' },
      { process: 'x', state: '' },
    ];

    assert.equal(formatTable(rows), 'process  state\ngateway  ready\nx');
  });
});

describe('sseData', () => {
  it('puts events together that arrive in pieces, skipping comments', async () => {
    const pieces = [': wait\n\nda', 'ta: {"a":"你', '"}\n\ndata: [DONE]\n\n'];
    const bytes = Buffer.from(pieces.join(''));
    // The chunks also cut the text inside a character.
    const body = ReadableStream.from(
      [0, 12, 24, 26].map((at, i, cuts) => bytes.subarray(at, cuts[i + 1])),
    );

    assert.deepEqual(await collect(sseData(body)), ['{"a":"你"}', '[DONE]']);
  });
});

describe('gatewayUrl', () => {
  const rows = [
    { host: '0.0.0.0', url: 'http://127.0.0.1:80' },
    { host: '::', url: 'http://[::1]:80' },
    { host: 'box', url: 'http://box:80' },
  ];
  for (const { host, url } of rows) {
    it(`reaches a gateway on ${host} at ${url}`, () => {
      assert.equal(gatewayUrl({ host, port: 80 }), url);
    });
  }
});

describe('curlLine', () => {
  it('carries the key only where one is needed', () => {
    assert.doesNotMatch(
      curlLine('http://h:1', { needsKey: false, takesMessages: true }),
      /Authorization/,
    );
    assert.match(
      curlLine('http://h:1', { needsKey: true, takesMessages: true }),
      /-H "Authorization: Bearer \$AUTOGLM_API_KEY"/,
    );
  });

  it('asks for the end of a text where the model takes no messages', () => {
    const line = curlLine('http://h:1', { needsKey: false, takesMessages: false });

    assert.match(line, /^curl http:\/\/h:1\/v1\/completions .*"prompt":"Hello"/);
  });
});
