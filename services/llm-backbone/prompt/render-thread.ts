import type { Worker } from 'node:worker_threads';
import { Text } from '#backbone/template/text.ts';
import { withResolvers } from '#mesh/async/with-resolvers.ts';
import { MeshError } from '#mesh/errors.ts';
import { startThread } from '#mesh/thread.ts';
import type { ChatTemplateSource } from './chat-template.ts';
import type { RenderAnswer, RenderJob, RenderSetup } from './render-job.ts';

/** Time after which an idle thread ends, so that its memory goes back. */
const IDLE_MS = 10_000;

/** Most memory of the thread, MiB: room for the longest prompt several times over. */
const MAX_HEAP_MB = 512;

/** Renders one conversation at a time in another thread, which ends when one takes too long. */
export class RenderThread {
  readonly #source: ChatTemplateSource;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  constructor(source: ChatTemplateSource) {
    this.#source = source;
  }

  /** Rejects with the signal's reason as soon as it aborts, and ends the work. */
  async render(job: RenderJob, signal: AbortSignal): Promise<Text> {
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const worker = this.#worker;
    try {
      const answer = await answerOf(worker, job, signal);
      this.#idle = setTimeout(() => this.close(), IDLE_MS).unref();
      return textOf(answer);
    } catch (error: unknown) {
      if (!(error instanceof MeshError)) this.close();
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#idle);
    void this.#worker?.terminate();
    this.#worker = undefined;
  }

  #start(): Worker {
    const setup: RenderSetup = { source: this.#source };
    const worker = startThread(import.meta.resolve('#backbone/prompt/render-worker.ts'), {
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
    });
    worker.unref();
    // Whoever waits for an answer hears of it too.
    worker.on('error', () => {});
    return worker;
  }
}

function answerOf(worker: Worker, job: RenderJob, signal: AbortSignal): Promise<RenderAnswer> {
  const { promise, resolve, reject } = withResolvers<RenderAnswer>();
  const onAbort = () => reject(signal.reason);
  const onError = (cause: unknown) => reject(failed(cause));
  const onExit = () => reject(failed('it ended'));
  signal.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve).once('error', onError).once('exit', onExit);
  worker.ref();
  worker.postMessage(job);
  return promise.finally(() => {
    signal.removeEventListener('abort', onAbort);
    worker.off('message', resolve).off('error', onError).off('exit', onExit);
    worker.unref();
  });
}

/** A thread that ended by itself ran out of memory, or has a fault. */
function failed(cause: unknown): Error {
  return new Error('the thread that renders prompts failed', { cause });
}

function textOf(answer: RenderAnswer): Text {
  switch (answer.kind) {
    case 'text':
      return new Text(answer.value, answer.spans);
    case 'refusal': {
      const { reason, message, param } = answer;
      throw new MeshError(reason, message, param === undefined ? {} : { param });
    }
    case 'failure':
      throw new Error(`a prompt cannot be rendered: ${answer.message}`);
  }
}
