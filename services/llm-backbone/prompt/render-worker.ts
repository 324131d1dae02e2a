import { parentPort, workerData } from 'node:worker_threads';
import { MeshError } from '#mesh/errors.ts';
import { ChatTemplate } from './chat-template.ts';
import type { RenderAnswer, RenderJob, RenderSetup } from './render-job.ts';

// Runs in a thread of its own, which its owner ends when a rendering takes too long.
const { source }: RenderSetup = workerData;
const template = new ChatTemplate(source);

function render({ messages, options }: RenderJob): RenderAnswer {
  try {
    const { value, spans } = template.render(messages, options);
    return { kind: 'text', value, spans };
  } catch (error: unknown) {
    if (!(error instanceof MeshError)) return { kind: 'failure', message: String(error) };
    const { reason, message, param } = error;
    return { kind: 'refusal', reason, message, param };
  }
}

parentPort?.on('message', (job: RenderJob) => parentPort?.postMessage(render(job)));
