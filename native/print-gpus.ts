// Prints the GPUs of this machine as one line of JSON, for processes that do not load the addon.

import { usableGpus } from './usable-gpus.ts';

process.stdout.write(`${JSON.stringify(usableGpus())}\n`);
