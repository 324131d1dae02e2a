import { watch } from 'node:fs';
import { join } from 'node:path';
import { Supervisor } from '#deploy/local/supervisor.ts';
import { createLog } from '#mesh/log/log.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { loadConfig } from './serve.ts';

/** Paths whose change restarts the mesh; the supervisor itself is not among them. */
const WATCHED = ['gateway', 'services', 'protos/gen', 'native/index.ts', 'build/native'];
/**
 * Milliseconds without a change after which files count as settled; editors write in several steps.
 */
const SETTLE_MS = 200;

/**
 * `npm run dev`: runs the mesh on loopback from its sources and restarts it when one changes. If
 * the mesh does not start, it waits for the next change.
 */
async function develop(args: readonly string[]): Promise<void> {
  const log = createLog({ role: 'dev', level: 'info', format: 'auto' });
  const change = new ChangeWatcher();
  let isEnding = false;
  let supervisor: Supervisor | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      isEnding = true;
      supervisor?.kill();
      change.close();
    });
  }
  while (!isEnding) {
    const config = await loadConfig(['--host=127.0.0.1', '--drain-timeout-s=0', ...args]);
    supervisor = new Supervisor(config, { log });
    const run = supervisor.run().catch((err: unknown) => log.error({ err }, 'the mesh ended'));
    await change.next();
    if (!isEnding) log.info('a source changed; starting anew');
    await supervisor.stop();
    await run;
  }
}

/** Tells when files below the watched folders have changed and settled. */
class ChangeWatcher {
  readonly #watchers = WATCHED.map((path) =>
    watch(join(PACKAGE_ROOT, path), { recursive: true }, () => this.#onChange()),
  );
  #timer: NodeJS.Timeout | undefined;
  #wake: () => void = () => {};

  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
    this.#wake();
  }

  #onChange(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), SETTLE_MS);
  }
}

await develop(process.argv.slice(2));
