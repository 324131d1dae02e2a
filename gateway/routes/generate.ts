import type { FastifyReply } from 'fastify';
import type { GenerateEvent } from '#gateway/openai/event.ts';
import { MeshError } from '#mesh/errors.ts';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { RouteContext } from './route.ts';

export interface Generation {
  readonly start: GenerateStart;
  readonly signal: AbortSignal;
  /** Knows since when the client waits. */
  readonly reply: FastifyReply;
}

/** Runs one generation of a request; observes its time to first token and whether it was left. */
export async function* generate(
  { router, metrics }: RouteContext,
  { start, signal, reply }: Generation,
): AsyncGenerator<GenerateEvent> {
  let hasTokens = false;
  // Holds when the consumer stops listening, which ends this generator at its yield.
  let isLeft = true;
  try {
    for await (const event of router.generate(start, signal)) {
      if (!hasTokens && event.$case === 'delta') {
        hasTokens = true;
        metrics.timeToFirstToken.observe(reply.elapsedTime / 1000);
      }
      yield event;
    }
    isLeft = false;
  } catch (error: unknown) {
    isLeft = error instanceof MeshError && error.reason === 'CANCELLED';
    throw error;
  } finally {
    if (isLeft) metrics.cancellations.add(1);
  }
}
