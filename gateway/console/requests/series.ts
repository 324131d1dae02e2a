import type { RequestView } from '#mesh/trace/request-view.ts';

/** What the plots cover, and the width of one of their steps; milliseconds. */
export const SPAN_MS = 15 * 60_000;
export const STEP_MS = 15_000;
export const NUM_STEPS = SPAN_MS / STEP_MS;

/** One step of time; undefined where no request tells anything. */
export interface Step {
  readonly tokenRate: number;
  readonly medianTtftMs: number | undefined;
  readonly p95TtftMs: number | undefined;
  readonly numErrors: number;
  readonly numRequests: number;
}

/** What the plots say of the whole span in words. */
export interface Summary {
  /** Tokens a second over the last minute. */
  readonly tokenRate: number;
  readonly medianTtftMs: number | undefined;
  readonly p95TtftMs: number | undefined;
  readonly numErrors: number;
  readonly numRequests: number;
}

export interface Series {
  /** Oldest first; the last one ends now. */
  readonly steps: readonly Step[];
  readonly summary: Summary;
  /** Unix milliseconds of the oldest known request, if the span began before it. */
  readonly partialSinceMs: number | undefined;
}

/** How many of the last steps make a minute. */
const RECENT_STEPS = 60_000 / STEP_MS;

/** Most requests that the gateway gives at once; with fewer, it has given all. */
export const MAX_GIVEN = 1000;

/** Counts requests by the step in which they ended, or in which the first token came. */
export function seriesOf(requests: readonly RequestView[], nowMs: number): Series {
  const beginMs = nowMs - SPAN_MS;
  const steps = Array.from({ length: NUM_STEPS }, () => emptyStep());
  const stepAt = (ms: number) => steps[Math.floor((ms - beginMs) / STEP_MS)];
  for (const one of requests) {
    if (one.ttft_ms !== null) stepAt(one.started_ms + one.ttft_ms)?.ttfts.push(one.ttft_ms);
    if (one.duration_ms === null) continue;
    const ended = stepAt(one.started_ms + one.duration_ms);
    if (ended !== undefined) {
      ended.numRequests += 1;
      if (isError(one)) ended.numErrors += 1;
    }
    spreadTokens(one, stepAt);
  }
  return {
    steps: steps.map((step) => ({
      tokenRate: (step.numTokens * 1000) / STEP_MS,
      medianTtftMs: quantile(step.ttfts, 0.5),
      p95TtftMs: quantile(step.ttfts, 0.95),
      numErrors: step.numErrors,
      numRequests: step.numRequests,
    })),
    summary: summaryOf(steps),
    partialSinceMs: partialSince(requests, beginMs),
  };
}

interface CountedStep {
  numTokens: number;
  readonly ttfts: number[];
  numErrors: number;
  numRequests: number;
}

function emptyStep(): CountedStep {
  return { numTokens: 0, ttfts: [], numErrors: 0, numRequests: 0 };
}

/** Tells whether a request failed by the server's or the client's fault; one that ended early did not. */
export function isError({ status, error }: RequestView): boolean {
  if (error === 'CANCELLED') return false;
  return error !== null || (status !== null && status >= 400);
}

/** Tokens come evenly between the first one and the end, as far as the page knows. */
function spreadTokens(
  { started_ms, ttft_ms, duration_ms, output_tokens }: RequestView,
  stepAt: (ms: number) => CountedStep | undefined,
): void {
  if (output_tokens === null || duration_ms === null) return;
  const [from, to] = [started_ms + (ttft_ms ?? duration_ms), started_ms + duration_ms];
  const numParts = Math.max(1, Math.ceil((to - from) / STEP_MS));
  for (let part = 0; part < numParts; part++) {
    const step = stepAt(from + ((to - from) * (part + 0.5)) / numParts);
    if (step !== undefined) step.numTokens += output_tokens / numParts;
  }
}

function summaryOf(steps: readonly CountedStep[]): Summary {
  const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
  const recent = steps.slice(-RECENT_STEPS);
  const ttfts = steps.flatMap((step) => step.ttfts);
  return {
    tokenRate: sum(recent.map(({ numTokens }) => numTokens)) / ((RECENT_STEPS * STEP_MS) / 1000),
    medianTtftMs: quantile(ttfts, 0.5),
    p95TtftMs: quantile(ttfts, 0.95),
    numErrors: sum(steps.map(({ numErrors }) => numErrors)),
    numRequests: sum(steps.map(({ numRequests }) => numRequests)),
  };
}

function partialSince(requests: readonly RequestView[], beginMs: number): number | undefined {
  const oldest = requests.at(-1);
  if (oldest === undefined || requests.length < MAX_GIVEN) return undefined;
  return oldest.started_ms > beginMs ? oldest.started_ms : undefined;
}

/** Returns the smallest value that at least `share` of the values do not exceed. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}
