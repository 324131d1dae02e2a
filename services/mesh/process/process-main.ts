import type { Static, TObject } from 'typebox';
import { environmentValues, unknownVariables } from '#mesh/command-line/environment.ts';
import { parseFlags } from '#mesh/command-line/flags.ts';
import type { lifeOptionFields } from '#mesh/life-options.ts';
import { createLog, type Log, reopenLog } from '#mesh/log/log.ts';
import { logOf, type logOptionFields } from '#mesh/log/log-options.ts';
import {
  helpText,
  type OptionSchema,
  type OptionValues,
  optionsOf,
  resolveOptions,
  variableName,
} from '#mesh/options.ts';
import { endOnSignal, runMain, type Stoppable } from './lifecycle.ts';
import { isSupervised, onSupervisor, ownName, tellSupervisor } from './supervision.ts';

/** The environment's part of the options, with what is to be said about it. */
interface EnvironmentPart {
  readonly values: OptionValues;
  readonly warnings: readonly string[];
}

/**
 * Reads the environment. A supervisor has read it already and passes on all values by flags.
 */
function fromEnvironment(role: string, schema: OptionSchema): EnvironmentPart {
  const { env } = process;
  if (isSupervised()) return { values: {}, warnings: [] };
  const known = optionsOf(schema).flatMap(([name]) => [
    variableName(name),
    variableName(name, role),
  ]);
  const values = { ...environmentValues(schema, env), ...environmentValues(schema, env, role) };
  return { values, warnings: unknownVariables(env, known) };
}

/** Options that every process has: those for its log, its life and its end. */
type ProcessSchema = TObject<typeof logOptionFields & typeof lifeOptionFields>;

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
    () => log ?? createLog({ role, process: ownName(role), level: 'info', format: 'auto' }),
    async () => {
      const args = process.argv.slice(2);
      if (args.includes('--help') || args.includes('-h')) {
        const usage = ['Usage: autoglm run', role, required, '[options]'].filter(
          (word) => word !== '',
        );
        process.stdout.write(`${usage.join(' ')}\n\n${helpText(schema)}\n`);
        return;
      }
      const { values, warnings } = fromEnvironment(role, schema);
      const options = resolveOptions(schema, { ...values, ...parseFlags(schema, args) });
      const { drainTimeoutS } = options;
      const opened = createLog({ role, process: ownName(role), ...logOf(options) });
      log = opened;
      onSupervisor(({ kind }) => {
        if (kind === 'reopen log') reopenLog(opened);
      });
      for (const warning of warnings) log.warn(warning);
      const service = await start(options, log);
      endOnSignal(service, { log, drainTimeoutMs: drainTimeoutS * 1000 });
      tellSupervisor({ kind: 'started' });
    },
  );
}
