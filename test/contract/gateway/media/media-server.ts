import { createServer, type RequestListener } from 'node:http';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';

/** A server on one loopback address that keeps a trace of its connections and requests. */
export interface MediaServer {
  /** Origin of its URLs, such as "http://127.0.0.1:34567". */
  readonly origin: string;
  readonly port: number;
  /** Paths of the requests, in order. */
  readonly requests: readonly string[];
  readonly numConnections: () => number;
  /** Resolves when no connection is left open. */
  allClosed(): Promise<void>;
  close(): Promise<void>;
}

export async function startMediaServer(
  answer: RequestListener,
  host = '127.0.0.1',
): Promise<MediaServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    answer(request, response);
  });
  return listening(server, { host, requests, stop: () => server.closeAllConnections() });
}

/** Starts a server that answers with raw bytes, for answers that no HTTP library would send. */
export async function startRawServer(answer: (socket: Socket) => void): Promise<MediaServer> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).resume();
    answer(socket);
  });
  const stop = () => {
    for (const socket of sockets) socket.destroy();
  };
  return listening(server, { host: '127.0.0.1', requests: [], stop });
}

interface Listening {
  readonly host: string;
  readonly requests: readonly string[];
  stop(): void;
}

async function listening(
  server: Server,
  { host, requests, stop }: Listening,
): Promise<MediaServer> {
  let numOpen = 0;
  let numConnections = 0;
  let onAllClosed = () => {};
  server.on('connection', (socket: Socket) => {
    numOpen += 1;
    numConnections += 1;
    socket.on('close', () => {
      numOpen -= 1;
      if (numOpen === 0) onAllClosed();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = addressOf(server.address());
  return {
    origin: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    requests,
    numConnections: () => numConnections,
    allClosed: () =>
      new Promise((resolve) => {
        onAllClosed = resolve;
        if (numOpen === 0) resolve();
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        stop();
      }),
  };
}

function addressOf(address: AddressInfo | string | null): AddressInfo {
  if (address === null || typeof address === 'string') throw new Error('not a TCP server');
  return address;
}
