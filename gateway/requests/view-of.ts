import type { RequestView, StageView } from '#mesh/trace/request-view.ts';
import type { Stage } from '#mesh/trace/stages.ts';
import type { RequestRecord } from './request-record.ts';

/** Shows a request, with its stages in the order of a waterfall. */
export function viewOf(record: RequestRecord): RequestView {
  const { begun, tokens, ttftMs } = record;
  const hasEnded = record.endMs !== undefined;
  return {
    id: record.id,
    trace_id: begun.trace?.traceId ?? null,
    method: begun.method,
    route: begun.route,
    status: record.status ?? null,
    error: record.error ?? null,
    model: record.model ?? null,
    endpoint: record.endpoint ?? null,
    is_stream: record.isStream,
    started_ms: Math.round(performance.timeOrigin + begun.startMs),
    duration_ms: hasEnded ? rounded(record.elapsedMs) : null,
    ttft_ms: ttftMs === undefined ? null : rounded(ttftMs),
    input_tokens: tokens?.numInput ?? null,
    output_tokens: tokens?.numOutput ?? null,
    cached_tokens: tokens?.numCached ?? null,
    finish_reasons: record.finishReasons,
    num_retries: record.numRetries,
    num_resumes: record.numResumes,
    stages: stageViews(record),
  };
}

function stageViews({ stages, begun: { startMs }, endMs }: RequestRecord): StageView[] {
  const inOrder = waterfall(stages.list);
  const indices = new Map(inOrder.map((stage, index) => [stage, index]));
  const indexOf = (stage: Stage | undefined) => (stage && indices.get(stage)) ?? null;
  return inOrder.map((stage) => {
    const stageEndMs = stage.endMs ?? endMs;
    return {
      name: stage.name,
      process: stage.process,
      parent: indexOf(stage.parent),
      start_ms: rounded(stage.startMs - startMs),
      duration_ms: stageEndMs === undefined ? null : rounded(stageEndMs - stage.startMs),
      address: stage.address ?? null,
      error: stage.error ?? null,
      cause: stage.cause ?? null,
      follows: indexOf(stage.follows),
    };
  });
}

/** Puts each stage before its parts, and those of one stage in the order in which they began. */
function waterfall(stages: readonly Stage[]): Stage[] {
  const partsOf = byParent(stages);
  const below = (parent: Stage | undefined): Stage[] =>
    (partsOf.get(parent) ?? [])
      .sort((a, b) => a.startMs - b.startMs)
      .flatMap((stage) => [stage, ...below(stage)]);
  return below(undefined);
}

function byParent(stages: readonly Stage[]): Map<Stage | undefined, Stage[]> {
  const known = new Set(stages);
  const parts = new Map<Stage | undefined, Stage[]>();
  for (const stage of stages) {
    // A parent beyond the most stages that are kept is unknown.
    const parent = stage.parent !== undefined && known.has(stage.parent) ? stage.parent : undefined;
    parts.set(parent, [...(parts.get(parent) ?? []), stage]);
  }
  return parts;
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
