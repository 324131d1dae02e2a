import type { Static } from 'typebox';
import { runProcess } from '#mesh/process/process-main.ts';
import { cpuFeatures, describeDevice, deviceName, loadEncoder } from '#native';
import type { encoderOptions } from './encoder-options.ts';
import { startEncoderProcess } from './encoder-process.ts';
import type { EncoderRole } from './served-tower.ts';

/** The parts in which the main functions of the encoders differ. */
export interface EncoderMain<Schema extends typeof encoderOptions> {
  readonly role: EncoderRole['role'];
  readonly schema: Schema;
  readonly createRole: (options: Static<Schema>) => EncoderRole;
}

/** Runs an encoder process until a signal ends it. */
export function runEncoderMain<Schema extends typeof encoderOptions>({
  role,
  schema,
  createRole,
}: EncoderMain<Schema>): void {
  runProcess({
    role,
    required: '--model DIR',
    schema,
    start: async (options, log) => {
      const device = deviceName(options.device);
      const isa = describeDevice(options.device)?.kind === 'cpu' ? cpuFeatures().isa : '';
      const engine = { load: loadEncoder, device, isa };
      return await startEncoderProcess(createRole(options), options, { engine, log });
    },
  });
}
