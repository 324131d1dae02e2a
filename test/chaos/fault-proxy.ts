import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { freePort } from '#test/free-port.ts';
import { FaultyPipe } from './faulty-pipe.ts';
import { type Direction, type LinkFault, PASS } from './link-fault.ts';

export interface FaultProxyOptions {
  /** Port on 127.0.0.1 that connections are passed on to. */
  readonly targetPort: number;
  /**
   * Called for each connection with its client's port; the function it returns gets the bytes sent
   * to the server.
   */
  readonly observe?: (clientPort: number) => (bytes: Buffer) => void;
  readonly clock?: Clock;
  /** Returns a number in [0, 1), for jitter. */
  readonly random?: () => number;
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly pipes: Readonly<Record<Direction, FaultyPipe>>;
}

/**
 * A TCP proxy on 127.0.0.1 with faults that are switched while it runs. A connection that has lost
 * bytes in a black hole is reset when the hole is closed: no byte stream goes on with a gap.
 */
export class FaultProxy {
  readonly port: number;
  readonly #options: FaultProxyOptions;
  readonly #connections = new Set<Connection>();
  #fault: LinkFault = PASS;
  #server: Server | undefined;

  private constructor(port: number, options: FaultProxyOptions) {
    this.port = port;
    this.#options = options;
  }

  static async open(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(await freePort(), options);
    await proxy.#listen();
    return proxy;
  }

  /** Address of the proxy, `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get numConnections(): number {
    return this.#connections.size;
  }

  /** Switches to a fault, or with `PASS` back to none. */
  async set(fault: LinkFault): Promise<void> {
    const previous = this.#fault;
    this.#fault = fault;
    if (isSilent(previous)) this.#resetWhere(isLossy);
    for (const { pipes } of this.#connections) {
      for (const pipe of Object.values(pipes)) pipe.resume();
    }
    if (fault.kind === 'refuse') this.#server = this.#stopListening();
    else if (this.#server === undefined) await this.#listen();
  }

  /** Resets every connection; returns their number. */
  reset(): number {
    return this.#resetWhere(() => true);
  }

  /** Ends one direction of every connection; bytes that come later that way are swallowed. */
  halfClose(direction: Direction): void {
    for (const { pipes } of this.#connections) pipes[direction].halfClose();
  }

  /** Stops listening and drops all connections with whatever was on its way. */
  close(): void {
    this.#server = this.#stopListening();
    for (const { client, server } of this.#connections) {
      client.destroy();
      server.destroy();
    }
  }

  #resetWhere(isChosen: (connection: Connection) => boolean): number {
    const chosen = [...this.#connections].filter(isChosen);
    for (const { client, server } of chosen) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
    return chosen.length;
  }

  async #listen(): Promise<void> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) =>
      this.#accept(client),
    );
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  #stopListening(): undefined {
    this.#server?.close();
  }

  #accept(client: Socket): void {
    const { targetPort: port, clock = systemClock, random = Math.random, observe } = this.#options;
    const server = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const pipe = (direction: Direction, onBytes?: (bytes: Buffer) => void) => {
      const [from, to] = direction === 'to server' ? [client, server] : [server, client];
      const fault = () => this.#fault;
      const onTruncated = () => endAfterWrites(connection);
      return new FaultyPipe(from, to, { direction, fault, clock, random, onBytes, onTruncated });
    };
    const connection: Connection = {
      client,
      server,
      pipes: {
        'to server': pipe('to server', observe?.(client.remotePort ?? 0)),
        'to client': pipe('to client'),
      },
    };
    this.#connections.add(connection);
    this.#endTogether(connection);
  }

  /** Passes a failure of one side on to the other, and forgets the connection after both ended. */
  #endTogether(connection: Connection): void {
    const { client, server, pipes } = connection;
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      one.on('error', () => {
        if (!isSilent(this.#fault)) other.resetAndDestroy();
      });
      one.on('close', () => {
        if (!client.destroyed || !server.destroyed) return;
        for (const each of Object.values(pipes)) each.stop();
        this.#connections.delete(connection);
      });
    }
  }
}

/** Tells whether nothing of a connection reaches the other side, not even its end. */
function isSilent({ kind }: LinkFault): boolean {
  return kind === 'black hole' || kind === 'hold';
}

function isLossy({ pipes, client, server }: Connection): boolean {
  const isBroken = client.destroyed || server.destroyed;
  return isBroken || Object.values(pipes).some((pipe) => pipe.isLossy);
}

/** Closes both sides in order, after what was written to them. */
function endAfterWrites({ client, server }: Connection): void {
  client.destroySoon();
  server.destroySoon();
}
