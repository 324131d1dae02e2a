import type { Socket } from 'node:net';
import { ClientStream, type StreamConnection } from './client-stream.ts';
import {
  ErrorCode,
  FIRST_WINDOW_BYTES,
  type Frame,
  FrameFlag,
  FrameReader,
  FrameType,
  frameOf,
  Http2Error,
  MAX_FRAME_BYTES,
  MAX_WINDOW_BYTES,
  numberFrame,
  Setting,
  settingsPayload,
  withoutPadding,
} from './frame.ts';
import { decodeHeaders } from './header-block.ts';
import { HeaderError } from './huffman.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** A table of the peer's would make every block depend on those before it. */
const SETTINGS = frameOf(
  { type: FrameType.SETTINGS, flags: FrameFlag.NONE, streamId: 0 },
  settingsPayload([
    [Setting.HEADER_TABLE_SIZE, 0],
    [Setting.ENABLE_PUSH, 0],
  ]),
);
const SETTINGS_ACK = frameOf(
  { type: FrameType.SETTINGS, flags: FrameFlag.ACK, streamId: 0 },
  Buffer.alloc(0),
);

/** Most bytes of the headers of one answer. */
const MAX_HEADER_BYTES = 65_536;

/** The last stream of a connection. */
const MAX_STREAM_ID = 2 ** 31 - 1;

/** Bytes that wait for the socket beyond which no more are added, and beyond which a peer asks too much. */
const FULL_SOCKET_BYTES = 256 * 1024;
const MAX_SOCKET_BYTES = 4 * 1024 * 1024;

/** Bytes of all streams that are taken before the peer is told so. */
const CREDIT_BYTES = 2 ** 30;

export interface SessionEvents {
  /** No more streams may begin; those that run may go on. Called at least once, at the latest at the end. */
  onEnd(): void;
  /** A stream has ended. */
  onStreamEnd(stream: ClientStream): void;
}

/**
 * The client's side of an HTTP/2 connection (RFC 9113), for callers that take frames as they come:
 * what arrives in one piece goes to the streams within it by plain calls, and what is sent in one turn
 * leaves in one piece. Only a stream holds the peer back, never the connection.
 *
 * Invariants: `#streams` holds the streams that have not ended; each of `#blocked` has something to
 * send and no window or no socket for it.
 */
export class ClientSession implements StreamConnection {
  readonly #socket: Socket;
  readonly #events: SessionEvents;
  readonly #reader = new FrameReader();
  readonly #streams = new Map<number, ClientStream>();
  readonly #blocked = new Set<ClientStream>();
  readonly #onFrame = (frame: Frame) => this.#take(frame);
  readonly #flush = () => this.#write();
  #out: Buffer[] = [];
  #numOut = 0;
  #flushing: NodeJS.Immediate | undefined;
  #nextId = 1;
  #isEnding = false;
  #hasSettings = false;
  #isTakingTurns = false;
  #sendWindow = FIRST_WINDOW_BYTES;
  /** What the peer allows. */
  #streamWindow = FIRST_WINDOW_BYTES;
  #maxStreams = Infinity;
  #numToCredit = 0;
  /** The block of headers that is not complete. */
  #block: { readonly head: Frame; readonly pieces: Buffer[]; numBytes: number } | undefined;
  #onPong: (() => void) | undefined;

  /** Takes over a socket that connects or is connected. */
  constructor(socket: Socket, events: SessionEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('drain', () => this.#sendBlocked());
    // It closes then.
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#lost());
    const window = MAX_WINDOW_BYTES - FIRST_WINDOW_BYTES;
    this.#push(PREFACE);
    this.#push(SETTINGS);
    this.#push(numberFrame({ type: FrameType.WINDOW_UPDATE, streamId: 0 }, window));
  }

  get isEnding(): boolean {
    return this.#isEnding;
  }

  get numRunning(): number {
    return this.#streams.size;
  }

  /** Whether another stream would be one too many. */
  get isFull(): boolean {
    return this.#streams.size >= this.#maxStreams || this.#nextId > MAX_STREAM_ID;
  }

  /** Begins a stream with a block of headers, which is sent as it is. */
  begin(block: Buffer): ClientStream {
    const stream = new ClientStream(this.#nextId, this, this.#streamWindow);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    for (let at = 0; at < block.length; at += MAX_FRAME_BYTES) {
      const end = at + MAX_FRAME_BYTES;
      const type = at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION;
      const flags = end >= block.length ? FrameFlag.END_HEADERS : FrameFlag.NONE;
      this.#push(frameOf({ type, flags, streamId: stream.id }, block.subarray(at, end)));
    }
    return stream;
  }

  /** Asks the peer whether it lives. */
  ping(onPong: () => void): void {
    this.#onPong = onPong;
    this.#push(frameOf({ type: FrameType.PING, flags: FrameFlag.NONE, streamId: 0 }, PING));
  }

  /** Ends the connection, on which no stream runs. */
  close(): void {
    this.#end(ErrorCode.NO_ERROR);
  }

  send(stream: ClientStream): void {
    // Those that wait have their turns, and so has a writer that goes on in one of them.
    const isWaiting = this.#isTakingTurns || this.#blocked.has(stream);
    while (!isWaiting && this.#sendFrame(stream));
    if (stream.hasNews) this.#blocked.add(stream);
  }

  reset(stream: ClientStream, code: number): void {
    this.#push(numberFrame({ type: FrameType.RST_STREAM, streamId: stream.id }, code));
    this.#endStream(stream, code);
  }

  credit({ id: streamId }: ClientStream, numBytes: number): void {
    this.#push(numberFrame({ type: FrameType.WINDOW_UPDATE, streamId }, numBytes));
  }

  get #numUnsent(): number {
    return this.#numOut + this.#socket.writableLength;
  }

  /** Adds a frame to those that are sent at the end of this turn. */
  #push(frame: Buffer): void {
    this.#out.push(frame);
    this.#numOut += frame.length;
    this.#flushing ??= setImmediate(this.#flush);
  }

  #write(): void {
    const [first] = this.#out;
    const bytes = this.#out.length === 1 ? first : Buffer.concat(this.#out, this.#numOut);
    this.#out = [];
    this.#numOut = 0;
    this.#flushing = undefined;
    if (bytes !== undefined && this.#socket.writable) this.#socket.write(bytes);
  }

  /** Sends a frame of what waits on a stream; returns false if there is no window or no socket for it. */
  #sendFrame(stream: ClientStream): boolean {
    if (!stream.hasNews || this.#numUnsent >= FULL_SOCKET_BYTES) return false;
    const room = Math.min(this.#sendWindow, stream.sendWindow, MAX_FRAME_BYTES);
    if (room <= 0 && stream.numWaiting > 0) return false;
    const { bytes, isLast } = stream.next(Math.max(room, 0));
    this.#sendWindow -= bytes.length;
    stream.sendWindow -= bytes.length;
    const flags = isLast ? FrameFlag.END_STREAM : FrameFlag.NONE;
    this.#push(frameOf({ type: FrameType.DATA, flags, streamId: stream.id }, bytes));
    return true;
  }

  /**
   * Sends what had to wait, a frame of each stream in turn, and tells the writers that are through. Whoever
   * has sent one is the last in the next turn too, or those in front would take each new window.
   */
  #sendBlocked(): void {
    if (this.#isTakingTurns) return;
    this.#isTakingTurns = true;
    try {
      while (this.#takeTurns());
    } finally {
      this.#isTakingTurns = false;
    }
  }

  /** Gives each stream that waits a turn; returns whether any has sent something. */
  #takeTurns(): boolean {
    let hasSent = false;
    for (const stream of [...this.#blocked]) {
      if (!this.#sendFrame(stream)) continue;
      hasSent = true;
      this.#blocked.delete(stream);
      if (stream.hasNews) this.#blocked.add(stream);
      else stream.drained();
    }
    return hasSent;
  }

  #read(bytes: Buffer): void {
    try {
      this.#reader.read(bytes, this.#onFrame);
    } catch (error: unknown) {
      if (error instanceof Http2Error) this.#end(error.code);
      else if (error instanceof HeaderError) this.#end(ErrorCode.COMPRESSION_ERROR);
      else throw error;
    }
  }

  #take(frame: Frame): void {
    if (!this.#hasSettings && frame.type !== FrameType.SETTINGS) throw violation('no settings');
    if (this.#block !== undefined && frame.type !== FrameType.CONTINUATION) {
      throw violation('a block of headers that does not go on');
    }
    switch (frame.type) {
      case FrameType.DATA:
        this.#dataCame(frame);
        break;
      case FrameType.HEADERS:
        this.#headersCame(frame);
        break;
      case FrameType.CONTINUATION:
        this.#blockWentOn(frame);
        break;
      case FrameType.RST_STREAM:
        this.#resetCame(frame);
        break;
      case FrameType.SETTINGS:
        this.#settingsCame(frame);
        break;
      case FrameType.PING:
        this.#pingCame(frame);
        break;
      case FrameType.GOAWAY:
        this.#goawayCame(frame);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#windowCame(frame);
        break;
      case FrameType.PUSH_PROMISE:
        throw violation('a push that was not allowed');
    }
  }

  #dataCame(frame: Frame): void {
    const numBytes = frame.payload.length;
    this.#numToCredit += numBytes;
    if (this.#numToCredit >= CREDIT_BYTES) {
      this.#push(numberFrame({ type: FrameType.WINDOW_UPDATE, streamId: 0 }, this.#numToCredit));
      this.#numToCredit = 0;
    }
    // A stream that was reset here may still get what was under way.
    const stream = this.#streamOf(frame);
    if (stream === undefined) return;
    stream.dataCame(withoutPadding(frame), numBytes);
    if ((frame.flags & FrameFlag.END_STREAM) !== 0) this.#answerEnded(stream);
  }

  #headersCame(frame: Frame): void {
    let piece = withoutPadding(frame);
    if ((frame.flags & FrameFlag.PRIORITY) !== 0) piece = piece.subarray(PRIORITY_BYTES);
    if ((frame.flags & FrameFlag.END_HEADERS) !== 0) this.#blockCame(frame, piece);
    else this.#block = { head: frame, pieces: [piece], numBytes: piece.length };
  }

  #blockWentOn({ flags, streamId, payload }: Frame): void {
    const block = this.#block;
    if (block?.head.streamId !== streamId) throw violation('headers that go on without a begin');
    block.pieces.push(payload);
    block.numBytes += payload.length + CONTINUATION_BYTES;
    if (block.numBytes > MAX_HEADER_BYTES) {
      throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, 'too many headers');
    }
    if ((flags & FrameFlag.END_HEADERS) === 0) return;
    this.#block = undefined;
    this.#blockCame(block.head, Buffer.concat(block.pieces));
  }

  #blockCame(head: Frame, block: Buffer): void {
    const stream = this.#streamOf(head);
    // No table has to be kept, so what nobody waits for need not be read.
    if (stream === undefined) return;
    stream.headersCame(decodeHeaders(block));
    if ((head.flags & FrameFlag.END_STREAM) !== 0) this.#answerEnded(stream);
  }

  /** Ends a stream whose answer is whole: the rest of its request is not wanted any more. */
  #answerEnded(stream: ClientStream): void {
    if (stream.isClosed) return;
    stream.end();
    if (stream.hasNews) this.reset(stream, ErrorCode.NO_ERROR);
    else this.#endStream(stream, ErrorCode.NO_ERROR);
  }

  #resetCame(frame: Frame): void {
    if (frame.payload.length !== 4) throw wrongSize(frame);
    const stream = this.#streamOf(frame);
    if (stream !== undefined) this.#endStream(stream, frame.payload.readUInt32BE());
  }

  #settingsCame(frame: Frame): void {
    const { flags, payload } = frame;
    this.#hasSettings = true;
    if ((flags & FrameFlag.ACK) !== 0) return;
    if (payload.length % 6 !== 0) throw wrongSize(frame);
    for (let at = 0; at < payload.length; at += 6) {
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
    this.#answer(SETTINGS_ACK);
    this.#sendBlocked();
  }

  #set(id: number, value: number): void {
    switch (id) {
      case Setting.MAX_CONCURRENT_STREAMS:
        this.#maxStreams = value;
        return;
      case Setting.MAX_FRAME_SIZE:
        if (value < MAX_FRAME_BYTES) throw violation('frames that are too small');
        // Larger frames would only keep other streams waiting.
        return;
      case Setting.INITIAL_WINDOW_SIZE:
        if (value > MAX_WINDOW_BYTES) throw overflow();
        for (const stream of this.#streams.values()) {
          stream.sendWindow += value - this.#streamWindow;
        }
        this.#streamWindow = value;
        return;
    }
  }

  #pingCame(frame: Frame): void {
    const { flags, payload } = frame;
    if (payload.length !== PING.length) throw wrongSize(frame);
    if ((flags & FrameFlag.ACK) !== 0) this.#onPong?.();
    else
      this.#answer(frameOf({ type: FrameType.PING, flags: FrameFlag.ACK, streamId: 0 }, payload));
  }

  /** Answers a frame of the peer's, which may not ask faster than it reads. */
  #answer(frame: Buffer): void {
    if (this.#numUnsent > MAX_SOCKET_BYTES) {
      throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, 'the peer asks and does not read');
    }
    this.#push(frame);
  }

  #goawayCame(frame: Frame): void {
    if (frame.payload.length < 8) throw wrongSize(frame);
    const lastId = frame.payload.readUInt32BE() & MAX_STREAM_ID;
    this.#stopBeginning();
    for (const stream of [...this.#streams.values()]) {
      if (stream.id > lastId) this.#endStream(stream, ErrorCode.REFUSED_STREAM);
    }
  }

  #windowCame(frame: Frame): void {
    if (frame.payload.length !== 4) throw wrongSize(frame);
    const numBytes = frame.payload.readUInt32BE() & MAX_WINDOW_BYTES;
    if (frame.streamId === 0) {
      this.#sendWindow += numBytes;
      if (this.#sendWindow > MAX_WINDOW_BYTES) throw overflow();
    } else {
      const stream = this.#streamOf(frame);
      if (stream === undefined) return;
      stream.sendWindow += numBytes;
      if (stream.sendWindow > MAX_WINDOW_BYTES) throw overflow();
    }
    if (this.#blocked.size > 0) this.#sendBlocked();
  }

  /** Returns the stream of a frame; undefined if it has ended. */
  #streamOf({ streamId }: Frame): ClientStream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined && (streamId % 2 === 0 || streamId >= this.#nextId)) {
      throw violation(`a frame of stream ${streamId}, which nobody has begun`);
    }
    return stream;
  }

  #endStream(stream: ClientStream, rstCode: number): void {
    if (!this.#streams.delete(stream.id)) return;
    this.#blocked.delete(stream);
    stream.ended(rstCode);
    this.#events.onStreamEnd(stream);
  }

  #stopBeginning(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#events.onEnd();
  }

  /** Says why this side ends the connection, and ends it. */
  #end(code: number): void {
    if (this.#socket.destroyed) return;
    const payload = Buffer.alloc(8);
    payload.writeUInt32BE(code, 4);
    this.#push(frameOf({ type: FrameType.GOAWAY, flags: FrameFlag.NONE, streamId: 0 }, payload));
    if (this.#flushing !== undefined) clearImmediate(this.#flushing);
    this.#write();
    this.#socket.destroySoon();
    if (code !== ErrorCode.NO_ERROR) this.#lost();
  }

  /** Ends everything on a connection that is no more. */
  #lost(): void {
    this.#stopBeginning();
    for (const stream of [...this.#streams.values()]) {
      this.#endStream(stream, ErrorCode.CANCEL);
    }
  }
}

const PING = Buffer.alloc(8);

/** Bytes of a priority, which nobody uses any more. */
const PRIORITY_BYTES = 5;

/** What a frame counts of the headers besides what it carries, so that empty ones have an end too. */
const CONTINUATION_BYTES = 64;

function violation(message: string): Http2Error {
  return new Http2Error(ErrorCode.PROTOCOL_ERROR, message);
}

function wrongSize({ type, payload }: Frame): Http2Error {
  const message = `a frame of type ${type} with ${payload.length} bytes`;
  return new Http2Error(ErrorCode.FRAME_SIZE_ERROR, message);
}

function overflow(): Http2Error {
  return new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, 'a window that is too large');
}
