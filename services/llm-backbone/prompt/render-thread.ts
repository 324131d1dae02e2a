import { Text } from '#backbone/template/text.ts';
import { MeshError } from '#mesh/errors.ts';
import { JobThread } from '#mesh/job-thread.ts';
import type { ChatTemplateSource } from './chat-template.ts';
import type { RenderAnswer, RenderJob, RenderSetup } from './render-job.ts';

/** Most memory of the thread, MiB: room for the longest prompt several times over. */
const MAX_HEAP_MB = 512;

/** Renders one conversation at a time in another thread, which ends when one takes too long. */
export class RenderThread {
  readonly #thread: JobThread<RenderJob, RenderAnswer>;

  constructor(source: ChatTemplateSource) {
    const workerData: RenderSetup = { source };
    this.#thread = new JobThread({
      url: import.meta.resolve('#backbone/prompt/render-worker.ts'),
      work: 'renders prompts',
      maxHeapMb: MAX_HEAP_MB,
      workerData,
    });
  }

  /** Rejects with the signal's reason as soon as it aborts, and ends the work. */
  async render(job: RenderJob, signal: AbortSignal): Promise<Text> {
    return textOf(await this.#thread.run(job, signal));
  }

  close(): void {
    this.#thread.close();
  }
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
