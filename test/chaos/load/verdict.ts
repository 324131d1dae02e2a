import { differenceOf } from './answer.ts';
import type { Exchange } from './exchange.ts';
import type { Expectations } from './expectations.ts';

export type Verdict =
  | { readonly kind: 'answered' }
  /** A stream that its gateway had begun when it was killed; only such a request is repeated. */
  | { readonly kind: 'cut'; readonly why: string }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'wrong'; readonly why: string };

export interface JudgedExchange extends Exchange {
  readonly verdict: Verdict;
}

/** The kill of a gateway. */
export interface GatewayKill {
  readonly address: string;
  readonly atMs: number;
}

/** Judges what came back for a request. */
export function judge(
  done: Exchange,
  expected: Expectations,
  kills: readonly GatewayKill[],
): JudgedExchange {
  return { ...done, verdict: verdictOf(done, expected, kills) };
}

function verdictOf(done: Exchange, expected: Expectations, kills: readonly GatewayKill[]): Verdict {
  const { failure, gateway, sentMs, endMs } = done;
  if (failure !== undefined) {
    const isKilled = kills.some(
      ({ address, atMs }) => address === gateway && atMs >= sentMs && atMs <= endMs,
    );
    return { kind: failure.isBroken && isKilled ? 'cut' : 'failed', why: failure.why };
  }
  const want = expected.get(done.caseName);
  if (want === undefined) return { kind: 'wrong', why: 'nothing is known of the request' };
  const difference = differenceOf(done.answer, want);
  return difference === undefined ? { kind: 'answered' } : { kind: 'wrong', why: difference };
}
