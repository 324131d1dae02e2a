// Runs as a process of a mesh that behaves as its flags say, in place of gateway and services.
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { createLog } from '#mesh/log/log.ts';
import { resolveOptions } from '#mesh/options.ts';
import { endOnSignal, liveWithSupervisor } from '#mesh/process/lifecycle.ts';
import { RESTARTS } from '#mesh/process/process-metrics.ts';
import { tellSupervisor } from '#mesh/process/supervision.ts';
import { scriptedOptions } from './scripted-role.ts';

liveWithSupervisor();
const options = resolveOptions(scriptedOptions, parseFlags(scriptedOptions, process.argv.slice(2)));
const say = (word: string) => process.stdout.write(`${options.name} ${word} ${process.pid}\n`);

if (options.behaviour === 'refuse') process.exit(3);
if (options.behaviour === 'stubborn') process.on('SIGTERM', () => say('SIGTERM'));
else {
  const log = createLog({ role: options.name, level: 'error', format: 'json' });
  const drain = async () => void say('drains');
  endOnSignal({ drain }, { log, drainTimeoutMs: 0 });
}
process.on('SIGINT', () => say('SIGINT'));
const health = options.behaviour === 'unready' ? 503 : 200;
const server = createServer((_, response) => response.writeHead(health).end('{}'));
process.stdout.write(`${options.name} restarted ${process.env[RESTARTS]} times\n`);
if (options.behaviour === 'late') {
  tellSupervisor({ kind: 'starting', progress: 'loading 43 %' });
  await delay(2000);
}
tellSupervisor({ kind: 'shows metrics', address: `127.0.0.1:${process.pid}` });
server.listen(options.port, options.host, () => {
  say('listens');
  // The supervisor's message goes first: whoever reads the line may kill this process at once.
  tellSupervisor({ kind: 'started' });
  say('started');
});
