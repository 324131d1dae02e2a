import { bytesOfMb } from '#mesh/megabytes.ts';
import type { DegradationOptions } from './degradation-options.ts';
import { FallbackModels } from './fallback-models.ts';
import { ReplyCache } from './reply-cache.ts';
import type { RuleSet } from './rules.ts';
import { readRules } from './rules-file.ts';

/** What may answer instead of a model that cannot, in this order. */
export interface Degradation {
  readonly fallbacks: FallbackModels;
  readonly cache: ReplyCache | undefined;
  readonly rules: RuleSet | undefined;
}

/** Reads what is configured; undefined if nothing is. Throws INVALID_REQUEST. */
export async function createDegradation(
  options: DegradationOptions,
): Promise<Degradation | undefined> {
  const { degradedCacheMb, degradedCacheTtlS, rulesFile } = options;
  const fallbacks = new FallbackModels(options.fallbackModel);
  const limits = { maxBytes: bytesOfMb(degradedCacheMb), ttlMs: degradedCacheTtlS * 1000 };
  const cache = degradedCacheMb === 0 ? undefined : new ReplyCache(limits);
  const rules = rulesFile === undefined ? undefined : await readRules(rulesFile);
  const isOff = fallbacks.isEmpty && cache === undefined && rules === undefined;
  return isOff ? undefined : { fallbacks, cache, rules };
}
