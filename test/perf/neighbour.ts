// A process with a decoder on the same cores, for `npm run bench -- neighbours`: idle until its parent
// sends it a number of milliseconds, for which it then works; it answers with steps per second.

import { createStepRunner } from './step-runner.ts';

const run = await createStepRunner('encode');
process.on('message', (durationMs) => {
  void run(Number(durationMs)).then((rate) => process.send?.(rate));
});
process.on('disconnect', () => process.exit());
process.send?.('ready');
