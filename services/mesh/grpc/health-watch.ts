import { setTimeout as delay } from 'node:timers/promises';
import type { Channel } from 'nice-grpc';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';
import { createMeshClient } from './grpc-client.ts';

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1000;

export interface HealthWatchOptions {
  /** Told of every answer, and `false` when the watch breaks. */
  readonly onHealth: (isServing: boolean) => Promise<void> | void;
  /** Why a watch broke; another one is begun. */
  readonly onBroken: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Follows the health of a process until the signal aborts, across its restarts. */
export async function watchHealth(channel: Channel, options: HealthWatchOptions): Promise<void> {
  const { onHealth, onBroken, signal } = options;
  const health = createMeshClient(HealthDefinition, channel);
  let backoffMs = MIN_BACKOFF_MS;
  while (!signal.aborted) {
    try {
      for await (const { status } of health.watch({ service: '' }, { signal })) {
        backoffMs = MIN_BACKOFF_MS;
        await onHealth(status === ServingStatus.SERVING);
      }
    } catch (error: unknown) {
      if (!signal.aborted) onBroken(error);
    }
    await onHealth(false);
    // Jitter keeps the callers of a process that comes back from arriving together.
    const jitterMs = Math.random() * backoffMs;
    await delay(backoffMs + jitterMs, undefined, { signal }).catch(() => {});
    backoffMs = Math.min(backoffMs * 2, MAX_BACKOFF_MS);
  }
}
