import { connect } from 'node:net';
import { ClientSession } from '#mesh/http2/client-session.ts';
import type { ClientStream } from '#mesh/http2/client-stream.ts';
import { ErrorCode } from '#mesh/http2/frame.ts';
import { encodeHeaders } from '#mesh/http2/header-block.ts';
import { parseHostPort } from '#mesh/port-probe.ts';
import { MAX_RESETS } from './renewing-channel.ts';

/**
 * When a connection with calls on it is asked whether it lives, and how long it has to answer, or to
 * be there.
 */
export interface KeepaliveTimes {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** The times of every connection between processes. */
export const KEEPALIVE: KeepaliveTimes = { intervalMs: 10_000, timeoutMs: 5_000 };

/** Headers that every call has besides its path and its server. */
const CALL_HEADERS = [
  [':method', 'POST'],
  [':scheme', 'http'],
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
  ['grpc-accept-encoding', 'identity'],
] as const;

/** A call as HTTP/2 begins it. */
export interface CallHead {
  readonly path: string;
  /** Metadata of the call; unset: none. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * The connection to one gRPC server for calls that are read by hand. It is opened by the first call,
 * anew after it has ended, and before the server would end it for the calls that were reset.
 */
export class Http2Connection {
  readonly #address: string;
  readonly #keepalive: KeepaliveTimes;
  /** What the calls of a path begin with. */
  readonly #blocks = new Map<string, Buffer>();
  #current: Session | undefined;

  constructor(address: string, keepalive = KEEPALIVE) {
    this.#address = address;
    this.#keepalive = keepalive;
  }

  /** Begins a call; whoever does listens to it in the same turn. */
  begin({ path, metadata }: CallHead): ClientStream {
    const block = this.#blockOf(path);
    return this.#usable().begin(
      metadata === undefined
        ? block
        : Buffer.concat([block, encodeHeaders(Object.entries(metadata))]),
    );
  }

  /** Begins no further calls on this connection; those that run are finished. */
  close(): void {
    if (this.#current !== undefined) this.#drop(this.#current);
  }

  #blockOf(path: string): Buffer {
    const known = this.#blocks.get(path);
    if (known !== undefined) return known;
    const own = [
      [':path', path],
      [':authority', this.#address],
    ] as const;
    const block = encodeHeaders([...own, ...CALL_HEADERS]);
    this.#blocks.set(path, block);
    return block;
  }

  #usable(): Session {
    if (this.#current?.isWornOut === true) this.#drop(this.#current);
    if (this.#current !== undefined) return this.#current;
    const session: Session = new Session(this.#address, this.#keepalive, () => this.#drop(session));
    this.#current = session;
    return session;
  }

  #drop(session: Session): void {
    if (this.#current === session) this.#current = undefined;
    session.retire();
  }
}

/** One HTTP/2 session. */
class Session {
  readonly #session: ClientSession;
  #numResets = 0;
  #isRetired = false;

  /** Calls `onEnd` when it takes no more calls. */
  constructor(address: string, { intervalMs, timeoutMs }: KeepaliveTimes, onEnd: () => void) {
    const socket = connect(parseHostPort(address));
    this.#session = new ClientSession(socket, {
      onEnd,
      onStreamEnd: ({ rstCode }) => {
        if (rstCode !== ErrorCode.NO_ERROR) this.#numResets += 1;
        if (this.#isRetired) this.retire();
      },
    });
    // A host that is cut off answers nothing, and the next attempts of TCP come later and later.
    const giveUp = () => socket.destroy();
    let late: NodeJS.Timeout | undefined = setTimeout(giveUp, timeoutMs);
    const heard = () => {
      clearTimeout(late);
      late = undefined;
    };
    socket.on('connect', heard);
    // A session that does not answer is ended if calls wait for it.
    const asking = setInterval(() => {
      if (this.#session.numRunning === 0 || late !== undefined) return;
      late = setTimeout(giveUp, timeoutMs);
      this.#session.ping(heard);
    }, intervalMs);
    socket.on('close', () => {
      clearInterval(asking);
      clearTimeout(late);
    });
  }

  /** Whether another call would be one too many, or another reset could make the server end it. */
  get isWornOut(): boolean {
    const { isFull, numRunning } = this.#session;
    return isFull || numRunning + this.#numResets >= MAX_RESETS;
  }

  begin(block: Buffer): ClientStream {
    return this.#session.begin(block);
  }

  /** Closes after the last call. */
  retire(): void {
    this.#isRetired = true;
    if (this.#session.numRunning === 0) this.#session.close();
  }
}
