import { MeshError } from '#mesh/errors.ts';
import { VERSION } from '#mesh/process/instance.ts';
import { didYouMean } from '../nearest-name.ts';
import { call } from './call.ts';
import { chat } from './chat.ts';
import { asksForHelp, type Command } from './command.ts';
import { serve } from './serve.ts';
import { status } from './status.ts';

const COMMANDS: readonly Command[] = [serve, chat, status, call];

/** Runs the command line `autoglm ARGS` and sets the process's exit status. */
export async function runCli(args: readonly string[]): Promise<void> {
  try {
    process.exitCode = await dispatch(args);
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) throw error;
    process.stderr.write(`autoglm: ${error.message}\n`);
    process.exitCode = 1;
  }
}

async function dispatch([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--version') {
    process.stdout.write(`${VERSION}\n`);
    return 0;
  }
  if (name === undefined || name === 'help' || asksForHelp([name])) {
    process.stdout.write(overview());
    return name === undefined ? 2 : 0;
  }
  const command = COMMANDS.find((one) => one.name === name);
  if (command === undefined) {
    const hint = didYouMean(
      name,
      COMMANDS.map((one) => one.name),
    );
    process.stderr.write(`autoglm: no command "${name}"${hint}\n\n${overview()}`);
    return 2;
  }
  if (asksForHelp(args)) {
    process.stdout.write(command.help());
    return 0;
  }
  return command.run(args);
}

function overview(): string {
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(8)}${summary}`);
  return `Usage: autoglm COMMAND [options]\n\n${rows.join('\n')}\n\n"autoglm COMMAND --help" lists a command's options.\n`;
}
