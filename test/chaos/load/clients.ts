import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { numbers } from '#test/mutations.ts';
import { type Exchange, exchange } from './exchange.ts';
import type { RequestCase, Sending } from './request-case.ts';
import type { JudgedExchange } from './verdict.ts';

/** Pause of a client between two requests, ms. */
const MIN_PAUSE_MS = 500;
const MAX_PAUSE_MS = 2000;

export interface ClientSettings {
  readonly url: string;
  readonly cases: readonly RequestCase[];
  readonly numClients: number;
  readonly seed: number;
  /** When it aborts, no further request is begun and those that run are finished. */
  readonly until: AbortSignal;
  readonly nextSending: () => Sending;
  readonly judge: (exchange: Exchange) => JudgedExchange;
  /** Called for each request when it is over. */
  readonly onDone: (exchange: JudgedExchange) => void;
}

/** Keeps clients asking, each in an order of its own that the seed decides. */
export async function runClients(settings: ClientSettings): Promise<void> {
  const { numClients, seed, until } = settings;
  setMaxListeners(numClients, until);
  const clients = Array.from({ length: numClients }, (_, index) =>
    keepAsking(settings, numbers(seed * numClients + index + 1)),
  );
  await Promise.all(clients);
}

async function keepAsking(
  settings: ClientSettings,
  next: (below: number) => number,
): Promise<void> {
  const { cases, until } = settings;
  for (;;) {
    const pauseMs = MIN_PAUSE_MS + next(MAX_PAUSE_MS - MIN_PAUSE_MS);
    await delay(pauseMs, undefined, { signal: until }).catch(ignoreAbort);
    const chosen = cases[next(cases.length)];
    if (until.aborted || chosen === undefined) return;
    await ask(chosen, settings);
  }
}

/** Sends a request; again if its stream was cut by the kill of its gateway, and for no other reason. */
async function ask(chosen: RequestCase, settings: ClientSettings): Promise<void> {
  for (;;) {
    const done = await exchange(settings.url, chosen, settings.nextSending());
    const judged = settings.judge(done);
    settings.onDone(judged);
    if (judged.verdict.kind !== 'cut') return;
  }
}

/** The wait is broken off only at the end of the load. */
function ignoreAbort(): void {}
