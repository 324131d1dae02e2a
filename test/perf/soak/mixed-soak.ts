import { setTimeout as delay } from 'node:timers/promises';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { startMesh } from '#test/e2e/mesh.ts';
import type { Figure } from '#test/perf/figure.ts';
import { judge, type Series } from './flatness.ts';
import { runMixedLoad } from './mixed-load.ts';
import { ProcessSamples } from './process-samples.ts';

const MIXED_SOAK_S = 600;
const NUM_SAMPLES = 60;

/** Figures of a mixed soak, and what was not as it must be; none: it has passed. */
export interface SoakResult {
  readonly figures: readonly Figure[];
  readonly faults: readonly string[];
}

/**
 * Loads a mesh with text, screenshots, speech, aborts and bad input, and judges whether every
 * process stays as it is. Throws if an answer is not the right one.
 */
export async function mixedSoak(seconds: number = MIXED_SOAK_S): Promise<SoakResult> {
  // Caches that are full after a short time, so that they do not look like a leak.
  const mesh = await startMesh({
    encoders: ['encoder-cache-mb: 4'],
    backbone: ['embedding-cache-mb: 4'],
    flags: ['--kv-cache-gb', '0.06'],
  });
  const samples = new ProcessSamples(mesh);
  const over = new AbortController();
  try {
    const load = runMixedLoad(mesh.url, over.signal);
    const watch = async () => {
      for (let i = 0; i < NUM_SAMPLES; i++) {
        await samples.take();
        await delay((1000 * seconds) / NUM_SAMPLES, undefined, { signal: over.signal });
      }
    };
    await Promise.race([watch(), load]);
    over.abort();
    const counts = await load;
    const series = samples.series();
    const { numRestarts } = samples;
    return {
      figures: [
        ...[...counts].map(([name, value]) => ({ name: `requests: ${name}`, value, unit: '' })),
        { name: 'processes started again', value: numRestarts, unit: '' },
        ...series.flatMap(figuresOf),
      ],
      faults: [
        ...(numRestarts === 0 ? [] : [`${numRestarts} processes were started again`]),
        ...series.filter((one) => !judge(one).isFlat).map(({ name }) => `${name} is not flat`),
      ],
    };
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw new MeshError('ENGINE_FAILED', `the soak failed: ${why}`, { cause });
  } finally {
    over.abort();
    await mesh.stop();
  }
}

/** Returns the median after warm-up, at the end, and the most of a quantity. */
function figuresOf(series: Series): readonly Figure[] {
  const { name, unit, values } = series;
  const { first, last } = judge(series);
  return [
    { name: `${name}, after warm-up`, value: first, unit },
    { name: `${name}, at the end`, value: last, unit },
    { name: `${name}, most`, value: Math.max(...values), unit },
  ];
}
