import { parentPort } from 'node:worker_threads';
import { compileForm } from './compile-form.ts';
import type { CompileJob } from './compile-job.ts';

// Runs in a thread of its own, which its owner ends when a form takes too long.
parentPort?.on('message', (job: CompileJob) => parentPort?.postMessage(compileForm(job)));
