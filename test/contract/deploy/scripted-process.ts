// Runs as a process of a mesh that behaves as its flags say, in place of gateway and services.
import { createServer } from 'node:http';
import { createLog } from '#mesh/log/log.ts';
import { parseFlags, resolveOptions } from '#mesh/options.ts';
import { dieWithSupervisor, endOnSignal } from '#mesh/process/lifecycle.ts';
import { scriptedOptions } from './scripted-role.ts';

dieWithSupervisor();
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
server.listen(options.port, options.host, () => say('started'));
