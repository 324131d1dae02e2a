import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { within } from '#test/bounded.ts';
import { AUTOGLM, property } from '#test/e2e/mesh.ts';
import { freePort } from '#test/free-port.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';

/** Milliseconds between two looks at what a gateway does. */
const LOOK_INTERVAL_MS = 10;

/** A gateway of its own process beside those of a mesh, which a test ends and starts again. */
export class ExtraGateway {
  readonly address: string;
  readonly #flags: readonly string[];
  #child: ChildProcess;
  #lines: Lines;

  private constructor(address: string, flags: readonly string[]) {
    this.address = address;
    this.#flags = flags;
    [this.#child, this.#lines] = spawnGateway(flags);
  }

  /** Starts one in front of a backbone and waits until it can generate. */
  static async start(backboneAddress: string, more: readonly string[]): Promise<ExtraGateway> {
    const port = await freePort();
    const flags = ['--host', '127.0.0.1', '--port', String(port), '--backbone', backboneAddress];
    const gateway = new ExtraGateway(`127.0.0.1:${port}`, [...flags, ...more]);
    await gateway.#untilReady();
    return gateway;
  }

  get pid(): number {
    assert(this.#child.pid !== undefined);
    return this.#child.pid;
  }

  /** Resolves when it is answering at least `numRequests` requests. */
  untilBusy(numRequests: number): Promise<void> {
    const look = async () => {
      for (;;) {
        const load: unknown = await (await fetch(`http://${this.address}/load`)).json();
        if (Number(property(load, 'server_load')) >= numRequests) return;
        await delay(LOOK_INTERVAL_MS);
      }
    };
    const what = `${numRequests} requests at ${this.address}`;
    return within(look(), { what, trace: () => [] });
  }

  /** Sends a signal; resolves to the exit status and the signal that ended the process. */
  async end(signal: NodeJS.Signals): Promise<readonly [number | null, NodeJS.Signals | null]> {
    const exit = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exit;
    return [this.#child.exitCode, this.#child.signalCode];
  }

  /** Starts it again at the same address. */
  async restart(): Promise<void> {
    [this.#child, this.#lines] = spawnGateway(this.#flags);
    await this.#untilReady();
  }

  /** Ends the process if it runs. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async #untilReady(): Promise<void> {
    // It may hear of the backbone before it listens.
    await Promise.all([
      this.#lines.match(/Server listening on/),
      this.#lines.match(/backbone .* is ready/),
    ]);
  }
}

function spawnGateway(flags: readonly string[]): [ChildProcess, Lines] {
  const child = spawn(process.execPath, [AUTOGLM, 'run', 'gateway', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return [child, new Lines(child.stdout, LOADING_MS)];
}
