import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '#mesh/async/clock.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { type ClientAddresses, networkOf } from './client-address.ts';
import { endWithError } from './errors-to-http.ts';

/** Connections beyond the limit that are kept for probes. */
export const RESERVED_CONNECTIONS = 8;
/** Milliseconds that such a connection may last. */
const RESERVED_MS = 2000;
/** Milliseconds between two log lines about refused connections. */
const LOG_INTERVAL_MS = 10_000;

export interface ConnectionLimits {
  readonly maxConnections: number;
  /** Most connections from one address, or one /64 of IPv6; trusted proxies may have more. */
  readonly maxPerAddress: number;
}

export interface Surroundings {
  readonly addresses: ClientAddresses;
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * Bounds the connections of clients. If all are taken, idle ones are closed, and a few further ones
 * are kept for probes, so that an operator sees a busy server and not a dead one.
 */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #surroundings: Surroundings;
  readonly #numByNetwork = new Map<string, number>();
  /** Connections beyond the limit, the oldest first. */
  readonly #reserved = new Set<Socket>();
  #numOpen = 0;
  #numRefused = 0;
  #lastLogMs = Number.NEGATIVE_INFINITY;

  constructor(limits: ConnectionLimits, surroundings: Surroundings) {
    this.#limits = limits;
    this.#surroundings = surroundings;
  }

  get numOpen(): number {
    return this.#numOpen;
  }

  get max(): number {
    return this.#limits.maxConnections;
  }

  watch(server: Server): void {
    server.on('connection', (socket) => this.#admit(socket, server));
  }

  /** Throws QUEUE_FULL for a request on a connection that is kept for probes. */
  check({ socket }: Pick<IncomingMessage, 'socket'>): void {
    if (!this.#reserved.has(socket)) return;
    const message = `the server is busy: it has ${this.max} connections (key "max-connections")`;
    throw new MeshError('QUEUE_FULL', message);
  }

  /** Tells whether a connection must end with its answer. */
  isReserved({ socket }: Pick<IncomingMessage, 'socket'>): boolean {
    return this.#reserved.has(socket);
  }

  #admit(socket: Socket, server: Server): void {
    const network = networkOf(socket.remoteAddress);
    const numOfNetwork = (this.#numByNetwork.get(network) ?? 0) + 1;
    const isProxy = this.#surroundings.addresses.isTrusted(socket.remoteAddress);
    this.#count(socket, network);
    if (numOfNetwork > this.#limits.maxPerAddress && !isProxy) {
      this.#refuse(
        socket,
        `${network} has ${this.#limits.maxPerAddress} (key "max-connections-per-address")`,
      );
      return;
    }
    if (this.#numOpen <= this.max) return;
    server.closeIdleConnections();
    this.#reserve(socket);
  }

  #count(socket: Socket, network: string): void {
    this.#numOpen++;
    this.#numByNetwork.set(network, (this.#numByNetwork.get(network) ?? 0) + 1);
    socket.once('close', () => {
      this.#numOpen--;
      const numLeft = (this.#numByNetwork.get(network) ?? 1) - 1;
      if (numLeft > 0) this.#numByNetwork.set(network, numLeft);
      else this.#numByNetwork.delete(network);
    });
  }

  #reserve(socket: Socket): void {
    const [oldest] = this.#reserved;
    // A probe asks at once, so the connection that has lasted longest is none.
    if (oldest !== undefined && this.#reserved.size >= RESERVED_CONNECTIONS) {
      this.#reserved.delete(oldest);
      oldest.destroy();
    }
    this.#reserved.add(socket);
    const cancel = this.#surroundings.clock.after(RESERVED_MS, () => socket.destroy());
    socket.once('close', () => {
      cancel();
      this.#reserved.delete(socket);
    });
    this.#note(`all ${this.max} are taken (key "max-connections"); only probes are answered`);
  }

  #refuse(socket: Socket, why: string): void {
    const message = `this address has too many connections: ${why}`;
    endWithError(socket, new MeshError('QUEUE_FULL', message));
    socket.destroySoon();
    this.#note(why);
  }

  /** Logs refused connections, at most one line in an interval. */
  #note(why: string): void {
    const { log, clock } = this.#surroundings;
    this.#numRefused++;
    if (clock.now() - this.#lastLogMs < LOG_INTERVAL_MS) return;
    this.#lastLogMs = clock.now();
    log.warn(
      { connections: this.#numOpen, refused: this.#numRefused },
      `connections are refused: ${why}`,
    );
    this.#numRefused = 0;
  }
}
