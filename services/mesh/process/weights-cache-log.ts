import type { Log } from '#mesh/log/log.ts';
import { gib } from '#mesh/megabytes.ts';

/** Logs what became of packed weights: a warning if they were written again, or cannot be kept. */
export function logWeightsCache(log: Log, { weightsCache, weightBytes }: CachedWeights): void {
  if (weightsCache === null) return;
  const { outcome, path, reason } = weightsCache;
  const size = gib(weightBytes);
  if (outcome === 'unused') {
    log.warn(`the packed weights (${size}) are not kept: ${reason}`);
    return;
  }
  if (outcome === 'written' && reason !== '') log.warn(`${reason}; it was written again`);
  const how = outcome === 'written' ? 'written and mapped' : 'mapped';
  log.info(`weights ${how}: ${size} of ${path}`);
}

interface CachedWeights {
  readonly weightBytes: number;
  readonly weightsCache: {
    readonly outcome: 'mapped' | 'written' | 'unused';
    readonly path: string;
    readonly reason: string;
  } | null;
}
