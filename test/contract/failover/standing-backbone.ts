// Runs as an llm-backbone whose engine stands still when a test says so.
import { setTimeout as delay } from 'node:timers/promises';
import { startBackbone } from '#backbone/backbone.ts';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { backboneOptions } from '#backbone/options.ts';
import { endWithEngine } from '#mesh/process/engine-death.ts';
import { runProcess } from '#mesh/process/process-main.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { passUnlessBlocked } from './blocked-thread.ts';

const STEP_MS = 20;

class StandingDecoder extends FakeDecoder {
  readonly #listen: string;

  constructor(listen: string) {
    super();
    this.#listen = listen;
  }

  override async execute(...[plan]: Parameters<FakeDecoder['execute']>) {
    await passUnlessBlocked(this.#listen);
    await delay(STEP_MS);
    return super.execute(plan);
  }
}

runProcess({
  role: 'llm-backbone',
  required: '--model DIR',
  schema: backboneOptions,
  start: async (options, log) => {
    const decoder = new StandingDecoder(options.listen);
    const files = await readModelFiles(options.model, undefined);
    const backbone = await startBackbone(options, decoder.loaded, files, log);
    endWithEngine(backbone, log);
    return backbone;
  },
});
