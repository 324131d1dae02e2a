import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '#test/chaos/mesh/instance.ts';
import { numbers } from '#test/mutations.ts';
import { FaultDeck } from './fault-deck.ts';
import type { FaultKind } from './fault-kind.ts';
import type { FaultRecord } from './fault-record.ts';

export interface TroubleSettings {
  readonly instances: readonly Instance[];
  readonly kinds: readonly FaultKind[];
  readonly seed: number;
  /** Time from one fault to the next, ms. */
  readonly intervalMs: number;
  /** When it aborts, nothing more is done. */
  readonly until: AbortSignal;
  /** Gets each fault when it begins; its end is written into it later. */
  readonly onFault: (fault: FaultRecord) => void;
  /** Gets it again when it is over and the process ready. */
  readonly onRecovery: (fault: FaultRecord) => void;
  /** Called when a fault is due and nobody can be spared. */
  readonly onNobody: () => void;
}

/**
 * Does a fault every interval until the signal aborts; resolves when all are over. Rejects if a
 * process does not come back.
 */
export async function makeTrouble(settings: TroubleSettings): Promise<void> {
  const { instances, kinds, seed, intervalMs, until } = settings;
  const next = numbers(seed);
  const deck = new FaultDeck(kinds, next);
  const running: Promise<void>[] = [];
  const failed = new AbortController();
  const stop = AbortSignal.any([until, failed.signal]);
  for (;;) {
    await delay(intervalMs, undefined, { signal: stop }).catch(ignoreAbort);
    if (stop.aborted) break;
    const choice = deck.deal(instances);
    if (choice === undefined) {
      settings.onNobody();
      continue;
    }
    const { kind, target } = choice;
    const fault = {
      kind: kind.name,
      target: target.name,
      role: target.role,
      address: target.address,
      beganMs: performance.now(),
      endedMs: Number.POSITIVE_INFINITY,
    };
    settings.onFault(fault);
    const over = target
      .suffer((instance) => kind.run(instance, next))
      .then(() => {
        fault.endedMs = performance.now();
        settings.onRecovery(fault);
      });
    over.catch((error: unknown) => failed.abort(error));
    running.push(over);
  }
  await Promise.all(running);
}

/** The wait is broken off only when the trouble is over. */
function ignoreAbort(): void {}
