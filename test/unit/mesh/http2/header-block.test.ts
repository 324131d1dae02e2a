import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeHeaders, encodeHeaders } from '#mesh/http2/header-block.ts';
import { decodeHuffman, HeaderError } from '#mesh/http2/huffman.ts';

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('a block of headers', () => {
  it('reads what it has written, names and values of any length', () => {
    const headers = [
      [':path', '/a.Service/Call'],
      ['x-empty', ''],
      ['x-long', 'v'.repeat(20_000)],
      ['x-127', 'w'.repeat(127)],
    ] as const;

    const read = decodeHeaders(encodeHeaders(headers));

    assert.deepEqual([...read], headers);
  });

  it('reads the forms of RFC 7541, appendix C', () => {
    // C.2.2, C.2.3 and C.2.4, and the first request of C.4 in Huffman's code.
    const block = bytesOf(
      '040c 2f73 616d 706c 652f 7061 7468 1008 7061 7373 776f 7264 0673 6563 7265 74 82 86 418c f1e3 c2e5 f23a 6ba0 ab90 f4ff',
    );

    assert.deepEqual(
      [...decodeHeaders(block)],
      [
        [':path', '/sample/path'],
        ['password', 'secret'],
        [':method', 'GET'],
        [':scheme', 'http'],
        [':authority', 'www.example.com'],
      ],
    );
  });

  it('takes the size of a table that is empty, and no other', () => {
    assert.equal(decodeHeaders(bytesOf('20 88')).get(':status'), '200');
    assert.throws(() => decodeHeaders(bytesOf('3f e1 1f')), HeaderError);
  });

  it('refuses a header of a table that was not allowed', () => {
    for (const hex of ['be', 'ff 00', '7e 01 61', '80']) {
      assert.throws(() => decodeHeaders(bytesOf(hex)), HeaderError, hex);
    }
  });

  it('refuses a block that ends within a header', () => {
    const block = encodeHeaders([['name', 'value']]);
    for (let length = 1; length < block.length; length++) {
      assert.throws(() => decodeHeaders(block.subarray(0, length)), HeaderError, `${length} bytes`);
    }
  });

  it('refuses a number that is too large', () => {
    assert.throws(() => decodeHeaders(bytesOf('00 7f ff ff ff ff 01')), HeaderError);
  });
});

describe("Huffman's code", () => {
  it('reads the examples of RFC 7541', () => {
    const examples = [
      ['a8eb 1064 9cbf', 'no-cache'],
      ['25a8 49e9 5ba9 7d7f', 'custom-key'],
      ['25a8 49e9 5bb8 e8b4 bf', 'custom-value'],
      ['6402', '302'],
      ['d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
      ['9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3', 'https://www.example.com'],
    ] as const;
    for (const [hex, text] of examples) assert.equal(decodeHuffman(bytesOf(hex)), text);
  });

  it('refuses an end that is no padding, or too much of it', () => {
    // Padding with a 0, a whole byte of it, and the code that stands for the end.
    for (const hex of ['a8eb 1064 9cbe', '6402 ff', 'ffff ffff']) {
      assert.throws(() => decodeHuffman(bytesOf(hex)), HeaderError, hex);
    }
  });
});
