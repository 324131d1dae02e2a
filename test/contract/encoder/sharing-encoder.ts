// A vision encoder as a process of its own, whose fake tower shares its rows; it tells its parent its
// address.

import { pino } from 'pino';
import { startEncoderProcess } from '#encoder/encoder-process.ts';
import { openRowSharing } from '#encoder/row-sharing.ts';
import { resolveOptions } from '#mesh/options.ts';
import { FakeEncoder } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { visionRole } from '#vision/role.ts';

const [model = ''] = process.argv.slice(2);
const values = { model, listen: '127.0.0.1:0', batchWindowMs: 0 };
const options = resolveOptions(visionEncoderOptions, values, {});
const log = pino({ level: 'silent' });
const tower = new FakeEncoder();
tower.isSharing = true;
const engine = {
  load: async () => tower,
  device: 'cpu',
  isa: '',
  sharing: openRowSharing(options, log),
};
const encoder = await startEncoderProcess(visionRole(options), options, { engine, log });
process.send?.(encoder.address);
process.on('disconnect', () => process.exit());
