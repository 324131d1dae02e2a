// Supervises scripted processes until a signal; arguments: NAME=BEHAVIOUR[:PORT], in starting order.
import { superviseUntilSignal } from '#deploy/local/supervise.ts';
import { dieWithSupervisor } from '#mesh/process/lifecycle.ts';
import { scripted } from './scripted-role.ts';

dieWithSupervisor();
const processes = await Promise.all(
  process.argv.slice(2).map((argument) => {
    const [name = '', behaviour, port] = argument.split(/[=:]/);
    return scripted(name, { behaviour, drainTimeoutS: 0, ...(port ? { port: Number(port) } : {}) });
  }),
);
process.exitCode = await superviseUntilSignal({
  log: { logLevel: 'info', logFormat: 'json' },
  processes,
});
