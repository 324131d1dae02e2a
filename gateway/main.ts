import { endOnSignal, runMain } from '#mesh/lifecycle.ts';
import { createLog } from '#mesh/log.ts';
import { helpText, parseFlags, resolveOptions } from '#mesh/options.ts';
import { startGateway } from './gateway.ts';
import { gatewayOptions } from './options.ts';

let log = createLog({ role: 'gateway', level: 'info', format: 'auto' });

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    process.stdout.write(`Usage: gateway [options]\n\n${helpText(gatewayOptions)}\n`);
    return;
  }
  const options = resolveOptions(gatewayOptions, parseFlags(gatewayOptions, args));
  const { logLevel: level, logFormat: format, logPath: path } = options;
  log = createLog({ role: 'gateway', level, format, path });
  const gateway = await startGateway(options, log);
  endOnSignal(gateway, { log, drainTimeoutMs: options.drainTimeoutS * 1000 });
  log.info(`Server listening on ${gateway.url}`);
}

runMain(() => log, main);
