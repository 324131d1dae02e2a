import type { FastifyReply } from 'fastify';
import type { AdmissibleMedia } from '#gateway/media/media-intake.ts';
import { mediaItem } from '#gateway/media/media-item.ts';
import { placedError } from '#gateway/media/placed-error.ts';
import type { GenerationStart } from '#gateway/openai/chat-request.ts';
import type { GenerateEvent } from '#gateway/openai/event.ts';
import type { GenerateUpload } from '#gateway/routing/generate-call.ts';
import { MeshError } from '#mesh/errors.ts';
import type { RouteContext } from './route-context.ts';

export interface Generation {
  readonly requestId: string;
  /** Name in use. */
  readonly model: string;
  readonly start: GenerationStart;
  readonly media: AdmissibleMedia;
  readonly signal: AbortSignal;
  /** Knows since when the client waits. */
  readonly reply: FastifyReply;
}

/**
 * Runs one generation of a request, once its media are there; observes its time to first token and
 * whether it was left.
 */
export async function* generate(
  context: RouteContext,
  generation: Generation,
): AsyncGenerator<GenerateEvent> {
  const { router, metrics } = context;
  const { media, signal, reply } = generation;
  let hasTokens = false;
  // Holds when the consumer stops listening, which ends this generator at its yield.
  let isLeft = true;
  try {
    const upload = await uploadOf(context, generation);
    for await (const event of router.generate(upload, signal)) {
      if (!hasTokens && event.$case === 'delta') {
        hasTokens = true;
        metrics.timeToFirstToken.observe(reply.elapsedTime / 1000);
      }
      yield event;
    }
    isLeft = false;
  } catch (error: unknown) {
    isLeft = error instanceof MeshError && error.reason === 'CANCELLED';
    throw placedError(error, media.references);
  } finally {
    if (isLeft) metrics.cancellations.add(1);
  }
}

async function uploadOf({ intake }: RouteContext, generation: Generation): Promise<GenerateUpload> {
  const { requestId, model, start, media, signal } = generation;
  const loaded = await intake.load(media, signal);
  const items = loaded.map((item) => mediaItem(item, media.options));
  const prompt = start.prompt && { ...start.prompt, media: items };
  return {
    start: { ...start, prompt, requestId, model, resume: undefined },
    media: loaded.map(({ bytes }) => bytes),
  };
}
