// Runs as a vision encoder whose tower stands still when a test says so.
import { startEncoderProcess } from '#encoder/encoder-process.ts';
import { endWithEngine } from '#mesh/process/engine-death.ts';
import { runProcess } from '#mesh/process/process-main.ts';
import { FakeEncoder } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { visionRole } from '#vision/role.ts';
import { passUnlessBlocked } from './blocked-thread.ts';

class StandingTower extends FakeEncoder {
  readonly #listen: string;

  constructor(listen: string) {
    super();
    this.#listen = listen;
  }

  override encode(...[items, options]: Parameters<FakeEncoder['encode']>) {
    const pass = passUnlessBlocked(this.#listen);
    return super.encode(items, options).map((one) => pass.then(() => one));
  }
}

runProcess({
  role: 'vision-encoder',
  required: '--model DIR',
  schema: visionEncoderOptions,
  start: async (options, log) => {
    const load = async () => new StandingTower(options.listen);
    const engine = { load, device: 'cpu:0', isa: 'reference' };
    const encoder = await startEncoderProcess(visionRole(options), options, { engine, log });
    endWithEngine(encoder, log);
    return encoder;
  },
});
