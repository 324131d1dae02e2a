// Runs one tool of the set-up, `node tool.mjs COMMAND ARGUMENTS...`, so that neither the tool nor
// its children outlive the set-up: a killed cmake leaves its compilers behind. This process leads
// their process group, and its channel to the set-up closes however the set-up ends.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/**
 * Milliseconds before the group is killed; short, since another set-up may begin as soon as this
 * one is gone.
 */
const GRACE_MS = 300;

const [command, ...args] = process.argv.slice(2);
const endGroup = () => {
  // ninja gives each compiler its own group and ends the compilers only if it is asked to end.
  process.on('SIGTERM', () => {});
  process.kill(-process.pid, 'SIGTERM');
  setTimeout(() => process.kill(-process.pid, 'SIGKILL'), GRACE_MS);
};
process.once('disconnect', endGroup);

const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
child.once('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  leave(127);
});
child.once('exit', (code, signal) => leave(code ?? 128 + constants.signals[signal]));

function leave(status) {
  process.off('disconnect', endGroup);
  process.exit(status);
}
