// Loads a decoder in a worker and keeps it busy, until the worker is ended from outside.
import { parentPort, workerData } from 'node:worker_threads';
import { loadDecoder } from '#native';
import { PagedSequence, planOf } from './paged-sequence.ts';

const decoder = await loadDecoder(workerData);
const sequence = new PagedSequence(new Array(300).fill(1), 0);
const plan = planOf([sequence.take(300)], { blockSize: 16, vocabLimit: 1000 });
parentPort?.postMessage('loaded');
for (;;) await Promise.all([decoder.execute(plan), decoder.execute(plan)]);
