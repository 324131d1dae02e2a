import { type MetricSource, prometheusText } from '#mesh/prometheus-text.ts';
import { PROCESS_METRICS } from './process-metrics.ts';

/** Type of the page, for the header `content-type`. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** vLLM's label for an engine inside its instance; a backbone has one engine. */
const VLLM_ENGINE = { engine: '0' };

/** Names that vLLM serves without a prefix, of its HTTP server. */
export const HTTP_METRICS: ReadonlySet<string> = new Set([
  'http_requests',
  'http_request_duration_seconds',
]);

/** A process on a page of metrics. */
export interface PageSource extends MetricSource {
  /** Whether it is an engine, whose metrics dashboards for vLLM know. */
  readonly isEngine: boolean;
}

/** Writes the page `/metrics` of processes. */
export function metricsPage(processes: readonly PageSource[]): string {
  const sources = processes.map(({ isEngine, labels, families }) => ({
    labels: isEngine ? { ...VLLM_ENGINE, ...labels } : labels,
    families,
  }));
  const engines = sources.filter((_, index) => processes[index]?.isEngine);
  const isOurs = (name: string) => !PROCESS_METRICS.has(name);
  return [
    prometheusText(
      chosen(sources, (name) => HTTP_METRICS.has(name)),
      [''],
    ),
    prometheusText(
      chosen(sources, (name) => PROCESS_METRICS.has(name)),
      [''],
    ),
    prometheusText(chosen(sources, isOurs), ['autoglm:']),
    // Dashboards for vLLM know only the engine's metrics.
    prometheusText(chosen(engines, isOurs), ['vllm:']),
  ].join('');
}

/** Keeps the families whose name is wanted. */
function chosen(
  sources: readonly MetricSource[],
  isWanted: (name: string) => boolean,
): MetricSource[] {
  return sources.map(({ labels, families }) => ({
    labels,
    families: families.filter(({ name }) => isWanted(name)),
  }));
}
