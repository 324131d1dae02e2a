import { Type } from 'typebox';
import { bytesOfMb } from '#mesh/megabytes.ts';

/** Options of requests with an Idempotency-Key, to be spread into the gateway's. */
export const idempotencyProperties = {
  idempotencyTtlS: Type.Number({
    minimum: 0,
    maximum: 86_400,
    default: 600,
    description:
      'Time in which a request with the same Idempotency-Key gets the answer of the first, seconds; 0: only while that runs',
  }),
  idempotencyGraceS: Type.Number({
    minimum: 0,
    maximum: 600,
    default: 5,
    description:
      'Time for which a request with an Idempotency-Key runs on without its client, so that a repeated one finds it, seconds',
  }),
  idempotencyMb: Type.Integer({
    minimum: 1,
    maximum: 65_536,
    default: 64,
    description:
      'Most bytes of answers kept for their Idempotency-Key, MB; of one client at most half, the oldest go first',
  }),
};

/** Limits on kept answers. */
export interface KeepLimits {
  readonly maxBytes: number;
  readonly ttlMs: number;
  readonly graceMs: number;
}

interface IdempotencyOptions {
  readonly idempotencyTtlS: number;
  readonly idempotencyGraceS: number;
  readonly idempotencyMb: number;
}

export function keepLimits(options: IdempotencyOptions): KeepLimits {
  return {
    maxBytes: bytesOfMb(options.idempotencyMb),
    ttlMs: options.idempotencyTtlS * 1000,
    graceMs: options.idempotencyGraceS * 1000,
  };
}
