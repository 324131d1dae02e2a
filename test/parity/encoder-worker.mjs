// Loads an encoder in a worker and keeps it busy, until the worker is ended from outside. Plain
// JavaScript, because a worker starts without the loader of TypeScript.

import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
const { loadEncoder } = await import('#native');

const { options, size, bounds } = workerData;
const encoder = await loadEncoder(options);
const rgb = new Uint8Array(size.width * size.height * 3);
const { grid } = encoder.plan({ kind: 'image', ...size, options: bounds });
const item = { kind: 'image', rgb, ...size, grid };
const encoded = encoder.encode([item, item, item]);
parentPort.postMessage('loaded');
await Promise.all(encoded);
