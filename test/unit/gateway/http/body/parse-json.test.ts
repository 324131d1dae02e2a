import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseJson } from '#gateway/http/body/parse-json.ts';

const bytesOf = (text: string, encoding: BufferEncoding) => Buffer.from(text, encoding);

describe('parseJson', () => {
  it('reads UTF-8 with and without a mark', () => {
    for (const mark of ['', '\ufeff']) {
      assert.deepEqual(parseJson(Buffer.from(`${mark}{"a":"打😀"}`)), { a: '打😀' });
    }
  });

  it('refuses bytes that are not UTF-8, wherever they are', () => {
    const before = Buffer.from('{"a":"');
    for (const wrong of [[0xb4, 0xf2], [0xff], [0xe6, 0x89], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
      const bytes = Buffer.concat([before, Buffer.from(wrong), Buffer.from('"}')]);
      assert.throws(() => parseJson(bytes), /the body is not UTF-8/, String(wrong));
    }
  });

  it('says which encoding a mark of another one names', () => {
    const utf16 = bytesOf('\ufeff{}', 'utf16le');
    const utf32 = Buffer.from([0xff, 0xfe, 0, 0, 0x7b, 0, 0, 0]);

    assert.throws(() => parseJson(utf16), /the body is in UTF-16; send UTF-8/);
    assert.throws(() => parseJson(Buffer.from(utf16).swap16()), /in UTF-16/);
    assert.throws(() => parseJson(utf32), /in UTF-32/);
  });

  it('names the place of a fault and repeats nothing', () => {
    assert.throws(
      () => parseJson(Buffer.from('{"a": secret}')),
      (error: unknown) =>
        error instanceof Error &&
        /not valid JSON/.test(error.message) &&
        !/secr/.test(error.message),
    );
  });
});
