import type { Static, TNumber, TObject } from 'typebox';
import { createLog, type Log } from '#mesh/log/log.ts';
import type { logOptionFields } from '#mesh/log/log-options.ts';
import { helpText, parseFlags, resolveOptions } from '#mesh/options.ts';
import { endOnSignal, runMain, type Stoppable } from './lifecycle.ts';

/** Options that every process has: those for its log, and the time it drains. */
type ProcessSchema = TObject<typeof logOptionFields & { drainTimeoutS: TNumber }>;

export interface ProcessMain<Schema extends ProcessSchema> {
  /** Name of the process in usage and log lines. */
  readonly role: string;
  /** Required flags, as the usage line shows them; "" if there are none. */
  readonly required: string;
  readonly schema: Schema;
  readonly start: (options: Static<Schema>, log: Log) => Promise<Stoppable>;
}

/** Runs a process from its flags until a signal ends it; `--help` lists them. */
export function runProcess<Schema extends ProcessSchema>(main: ProcessMain<Schema>): void {
  const { role, required, schema, start } = main;
  let log: Log | undefined;
  runMain(
    () => log ?? createLog({ role, level: 'info', format: 'auto' }),
    async () => {
      const args = process.argv.slice(2);
      if (args.includes('--help')) {
        const usage = ['Usage:', role, required, '[options]'].filter((word) => word !== '');
        process.stdout.write(`${usage.join(' ')}\n\n${helpText(schema)}\n`);
        return;
      }
      const options = resolveOptions(schema, parseFlags(schema, args));
      const { logLevel: level, logFormat: format, logPath: path, drainTimeoutS } = options;
      log = createLog({ role, level, format, path });
      const service = await start(options, log);
      endOnSignal(service, { log, drainTimeoutMs: drainTimeoutS * 1000 });
    },
  );
}
