import { Channel, type ChannelOptions, credentials } from '@grpc/grpc-js';

type Call = ReturnType<Channel['createCall']>;

/**
 * Most streams of one HTTP/2 session that this side may have reset, those that run counted too.
 * Servers end a session with everything on it after about a thousand resets (nghttp2 allows 1000 at
 * once and 33 more a second, against CVE-2023-44487), and a call that is cancelled is one.
 */
export const MAX_RESETS = 900;

/** A channel and what was called on it. */
interface Session {
  readonly channel: Channel;
  numRunning: number;
  numResets: number;
}

/**
 * A channel that goes over to a new connection before the server ends the one it has for the calls
 * that were cancelled. Calls that run stay where they are; an old connection closes after the last.
 */
export class RenewingChannel extends Channel {
  readonly #address: string;
  readonly #options: ChannelOptions;
  #current: Session;
  /** Sessions that get no new calls and still have some. */
  readonly #old = new Set<Session>();

  /** @param options must keep channels from sharing connections */
  constructor(address: string, options: ChannelOptions) {
    // Clients want an instance of the class; what it opens itself connects only if it is called.
    super(address, credentials.createInsecure(), options);
    this.#address = address;
    this.#options = options;
    this.#current = this.#begin();
  }

  override createCall(...args: Parameters<Channel['createCall']>): Call {
    const { numRunning, numResets } = this.#current;
    if (numRunning + numResets >= MAX_RESETS) this.#renew();
    const session = this.#current;
    const call = session.channel.createCall(...args);
    session.numRunning += 1;
    watchEnd(call, (isReset) => this.#onEnd(session, isReset));
    return call;
  }

  override close(): void {
    super.close();
    for (const { channel } of [this.#current, ...this.#old]) channel.close();
    this.#old.clear();
  }

  override getConnectivityState(...args: Parameters<Channel['getConnectivityState']>) {
    return this.#current.channel.getConnectivityState(...args);
  }

  override watchConnectivityState(...args: Parameters<Channel['watchConnectivityState']>): void {
    this.#current.channel.watchConnectivityState(...args);
  }

  override getChannelzRef() {
    return this.#current.channel.getChannelzRef();
  }

  #begin(): Session {
    const channel = new Channel(this.#address, credentials.createInsecure(), this.#options);
    return { channel, numRunning: 0, numResets: 0 };
  }

  #renew(): void {
    const session = this.#current;
    this.#current = this.#begin();
    if (session.numRunning === 0) session.channel.close();
    else this.#old.add(session);
  }

  #onEnd(session: Session, isReset: boolean): void {
    session.numRunning -= 1;
    if (isReset) session.numResets += 1;
    if (session.numRunning === 0 && this.#old.delete(session)) session.channel.close();
  }
}

/**
 * Tells when a call has ended, and whether its stream was reset: it was cancelled, or the server
 * ended it before everything was sent.
 */
function watchEnd(call: Call, onEnd: (isReset: boolean) => void): void {
  const { start, halfClose, cancelWithStatus } = call;
  let isSent = false;
  let isCancelled = false;
  call.start = (metadata, listener) =>
    start.call(call, metadata, {
      onReceiveMetadata: (received) => listener.onReceiveMetadata(received),
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveStatus: (status) => {
        onEnd(isCancelled || !isSent);
        listener.onReceiveStatus(status);
      },
    });
  call.halfClose = () => {
    isSent = true;
    halfClose.call(call);
  };
  call.cancelWithStatus = (status, details) => {
    isCancelled = true;
    cancelWithStatus.call(call, status, details);
  };
}
