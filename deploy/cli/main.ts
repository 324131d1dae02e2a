import { MeshError } from '#mesh/errors.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import { VERSION } from '#mesh/process/instance.ts';
import { call } from './call.ts';
import { chat } from './chat/chat.ts';
import { asksForHelp, type Command } from './command.ts';
import { observe } from './observe/observe.ts';
import { restart } from './restart.ts';
import { run } from './run.ts';
import { scale } from './scale.ts';
import { serve } from './serve.ts';
import { status } from './status.ts';
import { verify } from './verify.ts';
import { top } from './views/top.ts';
import { trace } from './views/trace.ts';

const COMMANDS: readonly Command[] = [
  serve,
  run,
  chat,
  status,
  scale,
  restart,
  top,
  trace,
  observe,
  call,
  verify,
];

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
  // A process that is named lists its own options.
  const isNested = command === run && args[0] !== undefined && !args[0].startsWith('-');
  if (asksForHelp(args) && !isNested) {
    process.stdout.write(command.help());
    return 0;
  }
  return command.run(args);
}

function overview(): string {
  const rows = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(9)}${summary}`);
  return `Usage: autoglm COMMAND [options]\n\n${rows.join('\n')}\n\n"autoglm COMMAND --help" lists a command's options.\n`;
}
