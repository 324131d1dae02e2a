/** Bytes in front of what a frame carries: its length, type, flags and stream (RFC 9113, section 4.1). */
export const FRAME_HEAD_BYTES = 9;

/** Most bytes that a frame carries unless its receiver allows more. */
export const MAX_FRAME_BYTES = 16_384;

/** Bytes that may be sent before the receiver has taken any, on a stream and on a connection. */
export const FIRST_WINDOW_BYTES = 65_535;

/** Most bytes that a window may have. */
export const MAX_WINDOW_BYTES = 2 ** 31 - 1;

export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FrameFlag = {
  NONE: 0,
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
} as const;

/** Why a stream or a connection ends (RFC 9113, section 7). */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  FLOW_CONTROL_ERROR: 3,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

export interface FrameHead {
  readonly type: number;
  readonly flags: number;
  /** 0: the connection. */
  readonly streamId: number;
}

/** A frame as it came. */
export interface Frame extends FrameHead {
  readonly payload: Buffer;
}

/** Returns a frame as it is sent. */
export function frameOf({ type, flags, streamId }: FrameHead, payload: Uint8Array): Buffer {
  const { length } = payload;
  const bytes = Buffer.allocUnsafe(FRAME_HEAD_BYTES + length);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

/** Returns a frame that carries one number of 32 bits. */
export function numberFrame(
  { type, streamId }: Pick<FrameHead, 'type' | 'streamId'>,
  value: number,
): Buffer {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(value);
  return frameOf({ type, flags: FrameFlag.NONE, streamId }, payload);
}

/** Returns what settings carry. */
export function settingsPayload(settings: readonly (readonly [id: number, value: number])[]) {
  const payload = Buffer.allocUnsafe(6 * settings.length);
  for (const [i, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, 6 * i);
    payload.writeUInt32BE(value, 6 * i + 2);
  }
  return payload;
}

/** A violation of the protocol, which ends the connection. */
export class Http2Error extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** Cuts the bytes of a connection into frames. */
export class FrameReader {
  #rest: Buffer = EMPTY;

  /**
   * Gives each frame that is complete to `take`, in order, without a copy where it came in one piece.
   * Throws Http2Error if one is longer than allowed.
   */
  read(bytes: Buffer, take: (frame: Frame) => void): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (all.length - at >= FRAME_HEAD_BYTES) {
      const length = all.readUIntBE(at, 3);
      if (length > MAX_FRAME_BYTES) {
        throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes`);
      }
      const start = at + FRAME_HEAD_BYTES;
      const end = start + length;
      if (end > all.length) break;
      const streamId = all.readUInt32BE(at + 5) & MAX_WINDOW_BYTES;
      const type = all[at + 3] ?? 0;
      const flags = all[at + 4] ?? 0;
      at = end;
      take({ type, flags, streamId, payload: all.subarray(start, end) });
    }
    this.#rest = at === all.length ? EMPTY : all.subarray(at);
  }
}

const EMPTY = Buffer.alloc(0);

/** Returns what a padded frame carries without its padding. */
export function withoutPadding({ flags, payload }: Frame): Buffer {
  if ((flags & FrameFlag.PADDED) === 0) return payload;
  const numPadding = payload[0] ?? 0;
  if (numPadding + 1 > payload.length) {
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, 'a frame has more padding than bytes');
  }
  return payload.subarray(1, payload.length - numPadding);
}
