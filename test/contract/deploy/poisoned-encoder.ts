// Runs as a vision encoder whose tower crashes the process at images of the gray POISON.
import { startEncoderProcess } from '#encoder/encoder-process.ts';
import { runProcess } from '#mesh/process/process-main.ts';
import { FakeEncoder } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { visionRole } from '#vision/role.ts';
import { POISON } from './poison.ts';

/** A tower that dies as native code does. */
class CrashingTower extends FakeEncoder {
  override encode(...[items, options]: Parameters<FakeEncoder['encode']>) {
    const isPoisoned = items.some((item) => item.kind === 'image' && item.rgb[0] === POISON);
    if (isPoisoned) process.kill(process.pid, 'SIGSEGV');
    return super.encode(items, options);
  }
}

runProcess({
  role: 'vision-encoder',
  required: '--model DIR',
  schema: visionEncoderOptions,
  start: (options, log) => {
    const engine = { load: async () => new CrashingTower(), device: 'cpu:0', isa: 'reference' };
    return startEncoderProcess(visionRole(options), options, { engine, log });
  },
});
