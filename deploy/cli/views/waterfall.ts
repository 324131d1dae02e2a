import type { RequestView, StageView } from '#mesh/trace/request-view.ts';

/** Shortest request that is drawn to scale, milliseconds. */
const MIN_MS = 0.001;

/** Columns of the bars. */
const BAR_CHARS = 40;

/** Draws the stages of a request below each other, each as long as it took. */
export function waterfall(request: RequestView): string {
  const { stages } = request;
  const endMs = Math.max(MIN_MS, request.duration_ms ?? 0, ...stages.map(endOf));
  const names = stages.map((stage) => `${'  '.repeat(depthOf(stage, stages))}${nameOf(stage)}`);
  const nameChars = Math.max(0, ...names.map(({ length }) => length));
  const processChars = Math.max(0, ...stages.map(({ process }) => process.length));
  const rows = stages.map((stage, index) => {
    const name = (names[index] ?? '').padEnd(nameChars);
    const { duration_ms, process } = stage;
    const ms = (duration_ms === null ? 'runs' : duration_ms.toFixed(1)).padStart(9);
    const failed = stage.error === null ? '' : `  ${stage.error}`;
    const bar = barOf(stage, endMs);
    return `${name}  ${process.padEnd(processChars)}  ${stage.start_ms.toFixed(1).padStart(9)} ${ms}  ${bar}${failed}`.trimEnd();
  });
  return [...factsOf(request), '', ...rows].join('\n');
}

function factsOf(request: RequestView): string[] {
  const { status, error, duration_ms, ttft_ms, input_tokens, output_tokens } = request;
  const outcome = status === null ? 'runs' : [status, error ?? ''].join(' ').trim();
  const times = [
    duration_ms === null ? '' : `${duration_ms.toFixed(1)} ms`,
    ttft_ms === null ? '' : `first token after ${ttft_ms.toFixed(1)} ms`,
    input_tokens === null ? '' : `${input_tokens} + ${output_tokens} tokens`,
  ].filter((one) => one !== '');
  const trace = request.trace_id === null ? [] : [`trace ${request.trace_id}`];
  const model = [request.model, request.endpoint].filter((one) => one !== null).join(' at ');
  return [
    `${request.method} ${request.route} ${outcome}  ${request.id}`,
    [...(model === '' ? [] : [model]), ...times].join(', '),
    ...trace,
  ];
}

function nameOf({ name, cause, address }: StageView): string {
  const why = cause === null ? '' : ` (${cause})`;
  return address === null ? `${name}${why}` : `${name}${why} ${address}`;
}

function depthOf({ parent }: StageView, stages: readonly StageView[]): number {
  const above = parent === null ? undefined : stages[parent];
  return above === undefined ? 0 : 1 + depthOf(above, stages);
}

function endOf({ start_ms, duration_ms }: StageView): number {
  return start_ms + (duration_ms ?? 0);
}

function barOf(stage: StageView, endMs: number): string {
  const column = (ms: number) =>
    Math.min(BAR_CHARS, Math.max(0, Math.round((ms / endMs) * BAR_CHARS)));
  const start = Math.min(BAR_CHARS - 1, column(stage.start_ms));
  const end = stage.duration_ms === null ? BAR_CHARS : column(endOf(stage));
  return `${' '.repeat(start)}${'█'.repeat(Math.max(1, end - start))}`;
}
