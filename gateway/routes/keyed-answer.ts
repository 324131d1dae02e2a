import { bodyHash } from '#gateway/http/body/body-hash.ts';
import { labelReply } from '#gateway/http/served-by.ts';
import type { AnswerRun } from '#gateway/idempotency/kept-answers.ts';
import type { Exchange } from './answer-call.ts';
import type { AnswerContext } from './route-context.ts';
import type { SendFrames } from './stream-answer.ts';

/** A request with an Idempotency-Key. */
export interface KeyedExchange {
  readonly exchange: Exchange;
  readonly key: string;
  readonly hold: (numBytes: number) => void;
  /** Aborts when this request's own wait ends. */
  readonly signal: AbortSignal;
}

export interface KeyedSource {
  readonly send: SendFrames;
  /** Computes the answer if no request with the key has. */
  readonly start: (run: AnswerRun) => Promise<string>;
}

/**
 * Answers a request as the first one with its key is answered, from the first frame on, whether that
 * runs or has ended. Headers say so in Stripe's words.
 */
export async function keyedAnswer(
  { clients, kept }: Pick<AnswerContext, 'clients' | 'kept'>,
  { exchange, key, hold, signal }: KeyedExchange,
  { send, start }: KeyedSource,
): Promise<string> {
  const { request, reply } = exchange;
  const route = request.routeOptions.url ?? '';
  const hash = `${route} ${await bodyHash(request.body)}`;
  // The client may have gone meanwhile.
  signal.throwIfAborted();
  const client = clients.nameOf(request.raw);
  const seat = kept.join({ client, key, hash, requestId: request.id, hold }, start);
  if (seat.originalRequestId !== undefined) {
    reply.header('idempotent-replayed', 'true');
    reply.header('original-request', seat.originalRequestId);
  }
  let failure: unknown;
  try {
    const label = (servedBy: string) => labelReply(reply, servedBy);
    return await seat.record.read({ send, label }, signal);
  } catch (error: unknown) {
    failure = error;
    throw error;
  } finally {
    seat.leave(failure);
  }
}
