import type { RequestView, StageView } from '#mesh/trace/request-view.ts';

/** A stage as it is drawn; shares are of the whole request. */
export interface Bar {
  readonly stage: StageView;
  /** Number of stages around it. */
  readonly depth: number;
  readonly startShare: number;
  readonly widthShare: number;
  /** Milliseconds; of one that runs, until now. */
  readonly durationMs: number;
}

/** Least share of a bar, so that a short stage is seen. */
const MIN_SHARE = 0.004;

/** Lays out the stages of a request, each below the one that it is a part of. */
export function waterfallBars(request: RequestView, nowMs: number): Bar[] {
  const runningMs = Math.max(0, nowMs - request.started_ms);
  const ends = request.stages.map(({ start_ms, duration_ms }) => start_ms + (duration_ms ?? 0));
  const wholeMs = Math.max(1, request.duration_ms ?? runningMs, ...ends);
  return inTreeOrder(request.stages).map(({ stage, depth }) => {
    const durationMs = stage.duration_ms ?? Math.max(0, wholeMs - stage.start_ms);
    const widthShare = Math.max(MIN_SHARE, Math.min(1, durationMs / wholeMs));
    const startShare = Math.min(1 - widthShare, Math.max(0, stage.start_ms / wholeMs));
    return { stage, depth, startShare, widthShare, durationMs };
  });
}

/** Returns the stages so that each stands right after its parent and its parent's earlier parts. */
function inTreeOrder(
  stages: readonly StageView[],
): { readonly stage: StageView; readonly depth: number }[] {
  const indexed = stages.map((stage, index) => ({ stage, index }));
  const walk = (parent: number | null, depth: number): { stage: StageView; depth: number }[] =>
    indexed
      // A part comes after the whole, so the walk ends.
      .filter(({ stage, index }) => stage.parent === parent && (parent ?? -1) < index)
      .flatMap(({ stage, index }) => [{ stage, depth }, ...walk(index, depth + 1)]);
  return walk(null, 0);
}
