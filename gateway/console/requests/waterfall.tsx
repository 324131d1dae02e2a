import type { RequestView, StageView } from '#mesh/trace/request-view.ts';
import type { TextKey } from '../text/en.ts';
import { useText } from '../text/language.tsx';
import { durationText } from '../text/quantities.ts';
import { type Bar, waterfallBars } from './waterfall-bars.ts';

const CAUSE_TEXTS = {
  retry: 'causeRetry',
  resume: 'causeResume',
  hedge: 'causeHedge',
} as const satisfies Record<NonNullable<StageView['cause']>, TextKey>;

/** Where a request's time went: a bar for each stage, coloured by its process. */
export function Waterfall({ request }: { readonly request: RequestView }) {
  const say = useText();
  const bars = waterfallBars(request, Date.now());
  const { num_retries, num_resumes, cached_tokens } = request;
  const facts = [
    `${say('requestId')} ${request.id}`,
    request.trace_id === null ? undefined : `${say('traceId')} ${request.trace_id}`,
    cached_tokens ? say('cached', { count: cached_tokens }) : undefined,
    num_retries > 0 ? say('retries', { count: num_retries }) : undefined,
    num_resumes > 0 ? say('resumes', { count: num_resumes }) : undefined,
    request.finish_reasons.join(', ') || undefined,
  ].filter((fact) => fact !== undefined);
  return (
    <div class="waterfall">
      <p class="muted">{facts.join(' · ')}</p>
      {request.error !== null && <p class="problem">{request.error}</p>}
      <ol aria-label={say('waterfall', { id: request.id })}>
        {bars.map((bar, index) => (
          <WaterfallRow key={index} bar={bar} />
        ))}
      </ol>
    </div>
  );
}

function WaterfallRow({ bar }: { readonly bar: Bar }) {
  const say = useText();
  const { stage, depth, startShare, widthShare, durationMs } = bar;
  const duration = durationText(durationMs);
  const label = say('stageBar', {
    name: stage.name,
    process: stage.process,
    duration,
    start: durationText(stage.start_ms),
  });
  return (
    <li>
      <span
        class={stage.error === null ? 'stage-name ellipsis' : 'stage-name'}
        style={{ paddingInlineStart: `${depth * 0.8}rem` }}
      >
        {stage.name}
        {stage.cause !== null && <em class="cause">{say(CAUSE_TEXTS[stage.cause])}</em>}
        {stage.address !== null && <small class="muted"> {stage.address}</small>}
        {stage.error !== null && <em class="cause failed">{stage.error}</em>}
      </span>
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={label}>
        <rect class="track" width="1000" height="10" />
        <rect
          class={`bar ${stage.process}${stage.error === null ? '' : ' failed'}`}
          x={startShare * 1000}
          width={widthShare * 1000}
          height="10"
        />
      </svg>
      <span class="stage-time">{duration}</span>
    </li>
  );
}
