import type { Static } from 'typebox';
import { cpuFeatures, loadEncoder } from '#native';
import { deviceName } from './device-name.ts';
import type { encoderOptions } from './encoder-options.ts';
import { type EncoderRole, startEncoderProcess } from './encoder-process.ts';
import { endOnSignal, runMain } from './lifecycle.ts';
import { createLog } from './log.ts';
import { helpText, parseFlags, resolveOptions } from './options.ts';

/** What tells one encoder's main function from another's. */
export interface EncoderMain<Schema extends typeof encoderOptions> {
  readonly role: EncoderRole['role'];
  readonly schema: Schema;
  readonly createRole: (options: Static<Schema>) => EncoderRole;
}

/** Runs an encoder process until a signal ends it. */
export function runEncoderMain<Schema extends typeof encoderOptions>(
  encoder: EncoderMain<Schema>,
): void {
  let log = createLog({ role: encoder.role, level: 'info', format: 'auto' });
  const main = async () => {
    const args = process.argv.slice(2);
    if (args.includes('--help')) {
      const usage = `Usage: ${encoder.role} --model DIR [options]`;
      process.stdout.write(`${usage}\n\n${helpText(encoder.schema)}\n`);
      return;
    }
    const options = resolveOptions(encoder.schema, parseFlags(encoder.schema, args));
    const { logLevel: level, logFormat: format, logPath: path, drainTimeoutS } = options;
    log = createLog({ role: encoder.role, level, format, path });
    const device = deviceName(options.device);
    const isa = device.startsWith('cpu') ? cpuFeatures().isa : '';
    const engine = { load: loadEncoder, device, isa };
    const started = await startEncoderProcess(encoder.createRole(options), options, {
      engine,
      log,
    });
    endOnSignal(started, { log, drainTimeoutMs: drainTimeoutS * 1000 });
  };
  runMain(() => log, main);
}
