// A process of a mesh that does what its flags say: the supervisor's double for gateway and services.
import { createServer } from 'node:http';
import { dieWithSupervisor } from '#mesh/lifecycle.ts';
import { parseFlags, resolveOptions } from '#mesh/options.ts';
import { scriptedOptions } from './scripted-role.ts';

dieWithSupervisor();
const options = resolveOptions(scriptedOptions, parseFlags(scriptedOptions, process.argv.slice(2)));
const say = (word: string) => process.stdout.write(`${options.name} ${word} ${process.pid}\n`);

if (options.behaviour === 'refuse') process.exit(3);
process.on('SIGTERM', () => {
  say('SIGTERM');
  if (options.behaviour !== 'stubborn') process.exit(0);
});
process.on('SIGINT', () => say('SIGINT'));
const health = options.behaviour === 'unready' ? 503 : 200;
const server = createServer((_, response) => response.writeHead(health).end('{}'));
server.listen(options.port, options.host, () => say('started'));
