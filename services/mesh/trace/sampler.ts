import { MeshError } from '#mesh/errors.ts';
import type { TraceContext } from './trace-context.ts';
import type { SamplingOptions } from './trace-options.ts';

/** Share of requests without a sampled or unsampled caller that are traced, if nothing says. */
const DEFAULT_RATIO = 0.01;

/** Decides at its arrival whether a request is traced; the same for all processes of a trace. */
export interface Sampler {
  samples(traceId: string, parent: Pick<TraceContext, 'isSampled'> | undefined): boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the sampler of the key `trace-sample-ratio`, which follows the caller; without it, the one
 * of OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
 */
export function createSampler(
  { traceSampleRatio }: Pick<SamplingOptions, 'traceSampleRatio'>,
  env: Environment,
): Sampler {
  if (traceSampleRatio !== undefined) return parentBased(traceSampleRatio);
  const name = env['OTEL_TRACES_SAMPLER'] ?? '';
  switch (name) {
    case '':
      return parentBased(DEFAULT_RATIO);
    case 'always_on':
      return byRatio(1);
    case 'always_off':
      return byRatio(0);
    case 'traceidratio':
      return byRatio(ratioIn(env));
    case 'parentbased_always_on':
      return parentBased(1);
    case 'parentbased_always_off':
      return parentBased(0);
    case 'parentbased_traceidratio':
      return parentBased(ratioIn(env));
    default: {
      const known =
        'always_on, always_off, traceidratio, or one of them with parentbased_ in front';
      throw refused('OTEL_TRACES_SAMPLER', `must be ${known}, got ${JSON.stringify(name)}`);
    }
  }
}

function ratioIn(env: Environment): number {
  const text = env['OTEL_TRACES_SAMPLER_ARG'] ?? '';
  const ratio = text === '' ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  throw refused(
    'OTEL_TRACES_SAMPLER_ARG',
    `must be a number from 0 to 1, got ${JSON.stringify(text)}`,
  );
}

function refused(variable: string, message: string): MeshError {
  return new MeshError('INVALID_REQUEST', `the variable ${variable}: ${message}`);
}

function parentBased(ratio: number): Sampler {
  const root = byRatio(ratio);
  return {
    samples: (traceId, parent) => parent?.isSampled ?? root.samples(traceId, undefined),
  };
}

/** Decides by the trace id, as OpenTelemetry's ratio sampler does, so that all agree. */
function byRatio(ratio: number): Sampler {
  const limit = Math.floor(ratio * 0xffff_ffff);
  return { samples: (traceId) => ratio === 1 || folded(traceId) < limit };
}

/** Folds the four words of a trace id into one. */
function folded(traceId: string): number {
  let sum = 0;
  for (let at = 0; at < traceId.length; at += 8) {
    sum = (sum ^ Number.parseInt(traceId.slice(at, at + 8), 16)) >>> 0;
  }
  return sum;
}
