import { MeshError } from '#mesh/errors.ts';
import { type Answer, differenceOf } from './answer.ts';
import { type Exchange, exchange } from './exchange.ts';
import type { RequestCase, Sending } from './request-case.ts';

/** The answers that the distinct requests get when nothing disturbs them, by their names. */
export type Expectations = ReadonlyMap<string, Answer>;

export interface ExpectationSettings {
  readonly url: string;
  readonly cases: readonly RequestCase[];
  /** Makes the names of one sending. */
  readonly nextSending: () => Sending;
  readonly onExchange: (exchange: Exchange) => void;
  readonly signal: AbortSignal;
}

/**
 * Asks every distinct request alone, then all at once; throws if an answer is not the same, since
 * such a request could not tell a spoilt answer from a good one.
 */
export async function expectAnswers(settings: ExpectationSettings): Promise<Expectations> {
  const expected = new Map<string, Answer>();
  for (const one of settings.cases) expected.set(one.name, await answerOf(one, settings));
  const again = settings.cases.map(async (one) => ({ one, answer: await answerOf(one, settings) }));
  for (const { one, answer } of await Promise.all(again)) {
    const before = expected.get(one.name);
    const difference = before && differenceOf(answer, before);
    if (difference === undefined) continue;
    const what = `"${one.name}" is answered differently without any fault: ${difference}`;
    throw new MeshError('ENGINE_FAILED', what);
  }
  return expected;
}

async function answerOf(one: RequestCase, settings: ExpectationSettings): Promise<Answer> {
  settings.signal.throwIfAborted();
  const done = await exchange(settings.url, one, settings.nextSending());
  settings.onExchange(done);
  if (done.failure === undefined) return done.answer;
  const what = `"${one.name}" is not answered without any fault: ${done.failure.why}`;
  throw new MeshError('ENGINE_FAILED', what);
}
