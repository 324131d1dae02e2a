// Loads an encoder in a worker and keeps it busy, until the worker is ended from outside.
import { parentPort, workerData } from 'node:worker_threads';
import { loadEncoder } from '#native';

const { options, size, bounds } = workerData;
const encoder = await loadEncoder(options);
const rgb = new Uint8Array(size.width * size.height * 3);
const { grid } = encoder.plan({ kind: 'image', ...size, options: bounds });
const item = { kind: 'image', rgb, ...size, grid } as const;
const encoded = encoder.encode([item, item, item]);
parentPort?.postMessage('loaded');
await Promise.all(encoded);
