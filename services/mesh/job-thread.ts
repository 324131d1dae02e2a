import type { Worker, WorkerOptions } from 'node:worker_threads';
import { withResolvers } from '#mesh/async/with-resolvers.ts';
import { startThread } from '#mesh/thread.ts';

/** Time after which an idle thread ends, so that its memory goes back. */
const IDLE_MS = 10_000;

export interface JobThreadOptions {
  /** The module that answers each message with one. */
  readonly url: string;
  /** What it does, for errors: "the thread that …". */
  readonly work: string;
  /** Most memory of the thread, MiB. */
  readonly maxHeapMb: number;
  readonly workerData?: WorkerOptions['workerData'];
}

/**
 * Does one job at a time in another thread, which starts with the first one, and ends when a job takes
 * too long.
 */
export class JobThread<Job, Answer> {
  readonly #options: JobThreadOptions;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: JobThreadOptions) {
    this.#options = options;
  }

  /** Rejects with the signal's reason as soon as it aborts, and ends the work. */
  async run(job: Job, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    try {
      const answer = await this.#answerOf(worker, job, signal);
      this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
      return answer;
    } catch (error: unknown) {
      this.close();
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#idle);
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start(): Worker {
    const { url, workerData, maxHeapMb } = this.#options;
    const resourceLimits = { maxOldGenerationSizeMb: maxHeapMb };
    const worker = startThread(url, { workerData, resourceLimits });
    worker.unref();
    // Whoever waits for an answer hears of it too.
    worker.on('error', () => {});
    return worker;
  }

  #answerOf(worker: Worker, job: Job, signal: AbortSignal): Promise<Answer> {
    const { promise, resolve, reject } = withResolvers<Answer>();
    // A thread that ended by itself ran out of memory, or has a fault.
    const failed = (cause: unknown) =>
      reject(new Error(`the thread that ${this.#options.work} failed`, { cause }));
    const onAbort = () => reject(signal.reason);
    const onExit = () => failed('it ended');
    signal.addEventListener('abort', onAbort, { once: true });
    worker.once('message', resolve).once('error', failed).once('exit', onExit);
    worker.ref();
    worker.postMessage(job);
    return promise.finally(() => {
      signal.removeEventListener('abort', onAbort);
      worker.off('message', resolve).off('error', failed).off('exit', onExit);
      worker.unref();
    });
  }
}
