import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { MeshError } from '#mesh/errors.ts';
import { probePort } from '#mesh/port-probe.ts';

const HOST = '127.0.0.1';
/** Milliseconds in which a program must be ready. */
const READY_LIMIT_MS = 30_000;
const LOOK_MS = 50;
/** Milliseconds after which one that was told to end is killed. */
const END_LIMIT_MS = 5000;
/** Last lines of its log that tell why it ended. */
const NUM_LAST_LINES = 5;

/** A program of the Prometheus project, by the names that distributions give it. */
export interface ObserverProgram {
  readonly title: string;
  readonly names: readonly string[];
  /** Debian's package. */
  readonly package: string;
}

/** Returns the path of a program; throws if it is not installed. */
export async function findProgram({ title, names, ...program }: ObserverProgram): Promise<string> {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((one) => one !== '');
  for (const path of names.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  const message = `${title} is not installed; on Debian: apt-get install ${program.package}`;
  throw new MeshError('NO_READY_ENDPOINT', message);
}

/**
 * Chooses where a program listens on loopback: at the port that was asked for, which must be free;
 * otherwise at its usual port, or at any other if that is in use.
 */
export async function chooseAddress(wanted: number | undefined, usual: number): Promise<string> {
  const isFree = (port: number) =>
    probePort({ host: HOST, port }).then(
      () => true,
      () => false,
    );
  if (await isFree(wanted ?? usual)) return `${HOST}:${wanted ?? usual}`;
  if (wanted === undefined) return `${HOST}:${await anyPort()}`;
  throw new MeshError('INVALID_REQUEST', `port ${wanted} is in use; name another one`);
}

async function anyPort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** How a program is started, and where it serves `/-/ready` then. */
export interface ObserverCommand {
  readonly path: string;
  readonly args: readonly string[];
  /** Address `host:port`. */
  readonly address: string;
}

/** A running Prometheus or Alertmanager. */
export class ObserverProcess {
  /** Resolves to why it has ended, in words. */
  readonly ended: Promise<string>;
  readonly #title: string;
  readonly #address: string;
  readonly #child: ChildProcess;
  #hasEnded = false;

  private constructor(title: string, address: string, child: ChildProcess) {
    this.#title = title;
    this.#address = address;
    this.#child = child;
    this.ended = this.#end();
  }

  static start(title: string, { path, args, address }: ObserverCommand): ObserverProcess {
    const child = spawn(path, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    return new ObserverProcess(title, address, child);
  }

  /**
   * Resolves when it is ready, or when the signal aborts. Throws if it ends before that, or is not
   * ready in time.
   */
  async ready(signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_LIMIT_MS)]);
    while (!limit.aborted) {
      const asked = fetch(`http://${this.#address}/-/ready`, { signal: limit });
      const answer = await asked.catch(() => undefined);
      if (this.#hasEnded) throw new MeshError('ENGINE_FAILED', await this.ended);
      if (answer?.ok) return;
      await delay(LOOK_MS);
    }
    if (signal.aborted) return;
    const message = `${this.#title} was not ready within ${READY_LIMIT_MS / 1000} s`;
    throw new MeshError('DEADLINE_EXCEEDED', message);
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_LIMIT_MS);
    await this.ended;
    clearTimeout(timer);
  }

  async #end(): Promise<string> {
    const lines: string[] = [];
    const { stderr } = this.#child;
    if (stderr !== null) {
      createInterface({ input: stderr }).on('line', (line) => {
        lines.push(line);
        if (lines.length > NUM_LAST_LINES) lines.shift();
      });
    }
    const failure = await new Promise<Error | undefined>((resolve) => {
      this.#child.once('error', resolve);
      this.#child.once('close', () => resolve(undefined));
    });
    this.#hasEnded = true;
    const why = failure?.message ?? lines.join('\n');
    return `${this.#title} has ended${why === '' ? '' : `:\n${why}`}`;
  }
}
