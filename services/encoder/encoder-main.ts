import { basename } from 'node:path';
import type { Static } from 'typebox';
import { deviceList } from '#mesh/devices/device-list.ts';
import { ownDevice } from '#mesh/devices/gpus.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkModelDirectory } from '#mesh/model/model-directory.ts';
import { endWithEngine } from '#mesh/process/engine-death.ts';
import { withLoadProgress } from '#mesh/process/load-progress.ts';
import { runProcess } from '#mesh/process/process-main.ts';
import {
  cpuFeatures,
  describeDevice,
  deviceName,
  gpuRefusal,
  loadEncoder,
  usableGpus,
} from '#native';
import type { encoderOptions } from './encoder-options.ts';
import { startEncoderProcess } from './encoder-process.ts';
import { openRowSharing } from './row-sharing.ts';
import type { EncoderRole } from './served-tower.ts';

/** The parts in which the main functions of the encoders differ. */
export interface EncoderMain<Schema extends typeof encoderOptions> {
  readonly role: EncoderRole['role'];
  readonly schema: Schema;
  readonly createRole: (options: Static<Schema>) => EncoderRole;
}

/** Refuses a list of devices, over which a language model could be spread, and a GPU that cannot be used. */
function checkOneDevice(device: string): void {
  const { length } = deviceList(device);
  const why =
    length === 1
      ? gpuRefusal(device)
      : `got ${device}, and a tower runs on one device; name one of the ${length}`;
  if (why === undefined) return;
  throw new MeshError('INVALID_REQUEST', `key "device": ${why}`, { param: 'device' });
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
    start: async (given, log) => {
      const { device: wish } = given;
      const own = ownDevice({ device: wish }, { listGpus: usableGpus, log });
      const options = { ...given, device: own };
      checkOneDevice(options.device);
      await checkModelDirectory(options.model, { tokenizer: false });
      const device = deviceName(options.device);
      const isa = describeDevice(options.device)?.kind === 'cpu' ? cpuFeatures().isa : '';
      const what = `the tower of ${basename(options.model)}`;
      const load: typeof loadEncoder = (settings) =>
        withLoadProgress((watch) => loadEncoder(settings, watch), { log, what });
      const engine = { load, device, isa, sharing: openRowSharing(options, log) };
      const encoder = await startEncoderProcess(createRole(options), options, { engine, log });
      endWithEngine(encoder, log);
      return encoder;
    },
  });
}
