// Runs one tool of the set-up, `node tool.mjs COMMAND ARGUMENTS...`, so that neither it nor what it
// starts outlives the set-up: cmake leaves its compilers behind when it is killed. This process leads
// their process group, and its channel to the set-up closes however the set-up ends.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';

/** Another set-up may begin as soon as this one is gone. */
const GRACE_MS = 300;

const [command, ...args] = process.argv.slice(2);
const endGroup = () => {
  // ninja gives each compiler a group of its own, and ends them only when it is asked to end.
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
