import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { MeshError } from '#mesh/errors.ts';
import { MAX_RESETS } from './renewing-channel.ts';

const { HTTP2_METHOD_POST, NGHTTP2_NO_ERROR } = constants;

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

/** Headers that every call has, whatever its metadata are. */
const CALL_HEADERS = {
  ':method': HTTP2_METHOD_POST,
  te: 'trailers',
  'content-type': 'application/grpc',
  'grpc-accept-encoding': 'identity',
};

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
  #current: Session | undefined;

  constructor(address: string, keepalive = KEEPALIVE) {
    this.#address = address;
    this.#keepalive = keepalive;
  }

  /** Begins a call; throws NO_READY_ENDPOINT if the connection has just ended. */
  begin({ path, metadata }: CallHead): ClientHttp2Stream {
    const session = this.#usable();
    const headers = Object.assign({}, metadata, CALL_HEADERS, { ':path': path });
    try {
      return session.begin(headers);
    } catch (cause: unknown) {
      this.#drop(session);
      const message = 'the connection to a service was lost';
      throw new MeshError('NO_READY_ENDPOINT', message, { cause, isPeerLost: true });
    }
  }

  /** Begins no further calls on this connection; those that run are finished. */
  close(): void {
    if (this.#current !== undefined) this.#drop(this.#current);
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
  readonly #session: ClientHttp2Session;
  #numRunning = 0;
  #numResets = 0;
  #isRetired = false;

  /** Calls `onEnd` when it takes no more calls. */
  constructor(address: string, keepalive: KeepaliveTimes, onEnd: () => void) {
    // A bound would end calls on a session that many slow readers share; each has its own window.
    const options = { maxSessionMemory: Number.MAX_SAFE_INTEGER, settings: { enablePush: false } };
    this.#session = connect(`http://${address}`, options);
    // A host that is cut off answers nothing, and the next attempts of TCP come later and later.
    const late = setTimeout(() => this.#session.destroy(), keepalive.timeoutMs);
    this.#session.on('connect', () => clearTimeout(late));
    const asking = setInterval(() => this.#ask(keepalive.timeoutMs), keepalive.intervalMs);
    this.#session.on('goaway', onEnd);
    // Its streams say why.
    this.#session.on('error', onEnd);
    this.#session.on('close', () => {
      clearInterval(asking);
      clearTimeout(late);
      onEnd();
    });
  }

  /** Whether another reset could make the server end it. */
  get isWornOut(): boolean {
    return this.#numRunning + this.#numResets >= MAX_RESETS;
  }

  begin(headers: Record<string, string>): ClientHttp2Stream {
    const stream = this.#session.request(headers);
    this.#numRunning += 1;
    stream.on('close', () => {
      this.#numRunning -= 1;
      if (stream.rstCode !== NGHTTP2_NO_ERROR) this.#numResets += 1;
      if (this.#isRetired) this.retire();
    });
    return stream;
  }

  /** Closes after the last call. */
  retire(): void {
    this.#isRetired = true;
    if (this.#numRunning === 0 && !this.#session.closed) this.#session.close();
  }

  /** Ends a session that does not answer although calls wait for it. */
  #ask(timeoutMs: number): void {
    if (this.#numRunning === 0 || this.#session.connecting || this.#session.destroyed) return;
    const late = setTimeout(() => this.#session.destroy(), timeoutMs);
    this.#session.ping(() => clearTimeout(late));
  }
}
