import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a module of this project as a thread. `url` is the module's, such as
 * `import.meta.resolve('#mesh/x.ts')`: a source if this process runs sources, otherwise what was
 * built from it.
 */
export function startThread(url: string, options: WorkerOptions = {}): Worker {
  if (!url.endsWith('.ts')) return new Worker(new URL(url), options);
  // A thread does not inherit the loader that lets a process run sources.
  const load = `import('tsx/esm/api').then((tsx) => { tsx.register(); return import(${JSON.stringify(url)}); });`;
  return new Worker(load, { ...options, eval: true });
}
