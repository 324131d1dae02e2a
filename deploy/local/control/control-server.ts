import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import Value from 'typebox/value';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import {
  type ControlAnswer,
  type ControlRequest,
  MAX_REQUEST_CHARS,
  type ProcessReport,
  requestSchema,
} from './control-protocol.ts';

/** Most connections at once. */
const MAX_CONNECTIONS = 16;
/** Milliseconds within which a client must have sent its request. */
const REQUEST_LIMIT_MS = 10_000;

/** Permissions that the socket does not have: all but its owner's. */
const OWNER_ONLY = 0o177;

/** Carries out a request; `say` tells the client how it goes on. */
export type ControlHandler = (
  request: ControlRequest,
  say: (text: string) => void,
) => Promise<readonly ProcessReport[]>;

/** The socket by which this user's commands reach the supervisor. */
export class ControlServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(handle: ControlHandler, log: Log) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      // A client that has left is told nothing; what it asked for goes on.
      socket.on('error', () => {});
      serve(socket, handle).catch((err: unknown) => {
        log.error({ err }, 'a command to the supervisor failed');
        socket.destroy();
      });
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Listens at a path that only this user can open; rejects if that is not possible. */
  static async open(path: string, handle: ControlHandler, log: Log): Promise<ControlServer> {
    const control = new ControlServer(handle, log);
    const listening = once(control.#server, 'listening');
    // The socket's file is made inside the call, with the permissions of that moment.
    const before = process.umask(OWNER_ONLY);
    try {
      control.#server.listen(path);
    } finally {
      process.umask(before);
    }
    await listening;
    control.#server.unref();
    return control;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function serve(socket: Socket, handle: ControlHandler): Promise<void> {
  const tell = (answer: ControlAnswer) => {
    if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
  };
  try {
    const request = readRequest(await firstLine(socket));
    const processes = await handle(request, (text) => tell({ kind: 'progress', text }));
    tell({ kind: 'done', processes: [...processes] });
  } catch (error: unknown) {
    tell({ kind: 'refused', message: errorMessage(error) });
    if (!(error instanceof MeshError)) throw error;
  } finally {
    socket.end();
  }
}

function readRequest(line: string): ControlRequest {
  let request: unknown;
  try {
    request = JSON.parse(line);
  } catch {
    throw new MeshError('INVALID_REQUEST', 'a request is one line of JSON');
  }
  if (Value.Check(requestSchema, request)) return request;
  throw new MeshError('INVALID_REQUEST', 'no such command; there are status, scale and restart');
}

/** Reads a line from a client, within bounds of time and length. */
function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => reject(new MeshError('INVALID_REQUEST', why));
    const timer = setTimeout(() => fail('no request in time'), REQUEST_LIMIT_MS);
    let text = '';
    const onData = (piece: string) => {
      text += piece;
      const end = text.indexOf('\n');
      if (end !== -1) {
        socket.off('data', onData).resume();
        resolve(text.slice(0, end));
      } else if (text.length > MAX_REQUEST_CHARS) fail('the request is too long');
    };
    socket.setEncoding('utf8').on('data', onData);
    socket.once('close', () => fail('the client left before it had asked'));
    socket.once('close', () => clearTimeout(timer));
  });
}
