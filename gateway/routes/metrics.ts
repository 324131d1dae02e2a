import { HTTP_METRICS } from '#gateway/http/http-metrics.ts';
import type { Route } from '#gateway/http/route.ts';
import type { Peer } from '#mesh/peers/peer.ts';
import { PROCESS_METRICS } from '#mesh/process/process-metrics.ts';
import { type MetricSource, prometheusText } from '#mesh/prometheus-text.ts';
import type { RouteContext } from './route-context.ts';

/** vLLM's label for an engine inside its instance; a backbone has one engine. */
const VLLM_ENGINE = { engine: '0' };

/** Milliseconds after which a process that has not answered is left out of the scrape. */
const SCRAPE_TIMEOUT_MS = 2000;

/**
 * Returns the route `GET /metrics`: the gateway's metrics, and those of every backbone and encoder
 * that answers.
 */
export function metricsRoute({ router, scraped, registry }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/metrics',
    handle: async (_, reply) => {
      const own = { labels: {}, families: registry.collect() };
      const signal = AbortSignal.timeout(SCRAPE_TIMEOUT_MS);
      const [backbones, encoders] = await Promise.all([
        scrape(router.endpoints, { signal, labels: VLLM_ENGINE }),
        scrape(scraped.peers, { signal, labels: {} }),
      ]);
      const all = [own, ...backbones, ...encoders];
      const isOurs = (name: string) => !PROCESS_METRICS.has(name);
      const text = [
        prometheusText(
          chosen([own], (name) => HTTP_METRICS.has(name)),
          [''],
        ),
        prometheusText(
          chosen(all, (name) => PROCESS_METRICS.has(name)),
          [''],
        ),
        prometheusText(chosen(all, isOurs), ['autoglm:']),
        // Dashboards for vLLM know only the engine's metrics.
        prometheusText(chosen(backbones, isOurs), ['vllm:']),
      ].join('');
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text);
    },
  };
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

/** Returns the metrics of the processes that answer, each named by its address. */
async function scrape(
  peers: readonly Pick<Peer<unknown, unknown>, 'address' | 'instance'>[],
  options: { readonly signal: AbortSignal; readonly labels: MetricSource['labels'] },
): Promise<MetricSource[]> {
  const { signal, labels } = options;
  const scrapes = peers.map(async ({ address, instance }) => {
    const { families } = await instance.getMetrics({}, { signal });
    return { labels: { ...labels, address }, families };
  });
  const settled = await Promise.allSettled(scrapes);
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}
