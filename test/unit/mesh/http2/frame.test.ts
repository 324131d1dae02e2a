import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  ErrorCode,
  type Frame,
  FrameFlag,
  FrameReader,
  FrameType,
  frameOf,
  Http2Error,
  MAX_FRAME_BYTES,
  withoutPadding,
} from '#mesh/http2/frame.ts';

const FRAMES = ['', 'a', 'second', 'x'.repeat(MAX_FRAME_BYTES)].map((text, i) => ({
  type: FrameType.DATA,
  flags: FrameFlag.END_STREAM,
  streamId: 2 * i + 1,
  payload: Buffer.from(text),
}));

describe('FrameReader', () => {
  it('reads frames wherever they are cut', () => {
    const bytes = Buffer.concat(FRAMES.map((one) => frameOf(one, one.payload)));
    for (const size of [1, 8, 9, 10, 11, 4096, bytes.length]) {
      const reader = new FrameReader();
      const read: Frame[] = [];

      for (let at = 0; at < bytes.length; at += size) {
        reader.read(bytes.subarray(at, at + size), (frame) => read.push(frame));
      }

      assert.deepEqual(read, FRAMES, `pieces of ${size} bytes`);
    }
  });

  it('refuses a frame that is longer than allowed, before it has come', () => {
    const [head] = FRAMES;
    assert(head !== undefined);
    const bytes = frameOf(head, Buffer.alloc(MAX_FRAME_BYTES + 1)).subarray(0, 9);

    assert.throws(
      () => new FrameReader().read(bytes, () => assert.fail()),
      (error) => error instanceof Http2Error && error.code === ErrorCode.FRAME_SIZE_ERROR,
    );
  });
});

describe('the padding of a frame', () => {
  const padded = (payload: Buffer) => {
    return { type: FrameType.DATA, flags: FrameFlag.PADDED, streamId: 1, payload };
  };

  it('is left out', () => {
    assert.equal(withoutPadding(padded(Buffer.from('\x03text\0\0\0'))).toString(), 'text');
    assert.equal(withoutPadding(padded(Buffer.from('\x00text'))).toString(), 'text');
  });

  it('is refused if it is longer than the frame', () => {
    for (const text of ['', '\x05text']) {
      assert.throws(() => withoutPadding(padded(Buffer.from(text))), Http2Error, text);
    }
  });
});
