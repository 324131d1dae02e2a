import { type ChildProcess, spawn } from 'node:child_process';
import { AUTOGLM } from '#test/e2e/mesh.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { freePort } from '#test/free-port.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';

/** A process that was started by itself. */
export interface Running {
  readonly child: ChildProcess;
  readonly lines: Lines;
  /** `host:port` that a gRPC process listens on. */
  readonly listen: string;
}

/** Processes that know a registry and nothing of each other, a gateway among them. */
export class RegistryMesh {
  readonly url: string;
  readonly gateway: Running;
  readonly #registry: string;
  readonly #running: Running[];

  private constructor(registry: string, { url, gateway }: Pick<RegistryMesh, 'url' | 'gateway'>) {
    this.#registry = registry;
    this.url = url;
    this.gateway = gateway;
    this.#running = [gateway];
  }

  /** Starts the gateway; the other processes may reach the registry at another address than it. */
  static async start(registry: string, ofOthers = registry): Promise<RegistryMesh> {
    const port = await freePort();
    const flags = ['--host', '127.0.0.1', '--port', String(port)];
    const gateway = spawnRole('gateway', { registry, listen: '', flags });
    return new RegistryMesh(ofOthers, { url: `http://127.0.0.1:${port}`, gateway });
  }

  async run(role: string, ...more: readonly string[]): Promise<Running> {
    const listen = `127.0.0.1:${await freePort()}`;
    const flags = ['--model', PHONE_NANO, '--listen', listen, ...more];
    const one = spawnRole(role, { registry: this.#registry, listen, flags });
    this.#running.push(one);
    return one;
  }

  /** Starts a backbone; resolves when the gateway can ask it. */
  async runBackbone(): Promise<Running> {
    const one = await this.run('llm-backbone', '--kv-cache-gb', '0.25');
    await this.gateway.lines.match(new RegExp(`backbone ${one.listen} is ready`));
    return one;
  }

  /** Ends all processes at once. */
  kill(): void {
    for (const { child } of this.#running) child.kill('SIGKILL');
  }
}

function spawnRole(
  role: string,
  settings: {
    readonly registry: string;
    readonly listen: string;
    readonly flags: readonly string[];
  },
): Running {
  const { registry, listen, flags } = settings;
  const child = spawn(process.execPath, [AUTOGLM, 'run', role, ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, AUTOGLM_REGISTRY: registry },
  });
  return { child, lines: new Lines(child.stdout, LOADING_MS), listen };
}
