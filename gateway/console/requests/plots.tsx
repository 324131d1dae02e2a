import { useText } from '../text/language.tsx';
import { durationText, numberText } from '../text/quantities.ts';
import { Plot } from './plot.tsx';
import type { Series } from './series.ts';

/** Tokens a second, times to the first token, and errors. */
export function Plots({ series }: { readonly series: Series }) {
  const say = useText();
  const { steps, summary, partialSinceMs } = series;
  const { medianTtftMs, p95TtftMs, numErrors, numRequests } = summary;
  const time = partialSinceMs === undefined ? '' : new Date(partialSinceMs).toLocaleTimeString();
  return (
    <section class="plots" aria-label={say('plotSpan')}>
      <Plot
        title={say('plotTokens')}
        value={say('plotNow', { value: numberText(summary.tokenRate) })}
        detail=""
        lines={[steps.map(({ tokenRate }) => tokenRate)]}
        write={numberText}
        isFilled
        tone="plain"
      />
      <Plot
        title={say('plotTtft')}
        value={
          medianTtftMs === undefined
            ? say('plotNone')
            : say('plotMedian', { value: durationText(medianTtftMs) })
        }
        detail={p95TtftMs === undefined ? '' : say('plotP95', { value: durationText(p95TtftMs) })}
        lines={[steps.map((one) => one.medianTtftMs), steps.map((one) => one.p95TtftMs)]}
        write={durationText}
        isFilled={false}
        tone="plain"
      />
      <Plot
        title={say('plotErrors')}
        value={String(numErrors)}
        detail={say('plotCount', { count: numErrors, total: numRequests })}
        lines={[steps.map((one) => one.numErrors)]}
        write={numberText}
        isFilled
        tone="bad"
      />
      {partialSinceMs !== undefined && <p class="muted">{say('plotPartial', { time })}</p>}
    </section>
  );
}
