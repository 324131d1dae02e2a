import { HTTP_METRICS } from '#gateway/http/http-metrics.ts';
import type { Route } from '#gateway/http/route.ts';
import type { Endpoint } from '#gateway/routing/endpoint.ts';
import type { ScrapedInstance } from '#gateway/routing/scraped-instance.ts';
import { type MetricSource, prometheusText } from '#mesh/prometheus-text.ts';
import { MetricKind } from '#protos/autoglm/mesh/v1/instance.ts';
import type { RouteContext } from './route-context.ts';

/** A process that does not answer within this is left out of the scrape. */
const SCRAPE_TIMEOUT_MS = 2000;

/** `GET /metrics`: the gateway's own and those of every backbone and encoder that answers. */
export function metricsRoute({ router, scraped, registry }: RouteContext): Route {
  return {
    method: 'GET',
    path: '/metrics',
    handle: async (_, reply) => {
      const own = registry.collect();
      const http = own.filter(({ name }) => HTTP_METRICS.has(name));
      const signal = AbortSignal.timeout(SCRAPE_TIMEOUT_MS);
      const [backbones, encoders] = await Promise.all([
        scrape(router.endpoints, signal, (i) => ({ engine: String(i) })),
        scrape(scraped, signal, () => ({})),
      ]);
      const gateway = [{ labels: {}, families: own }, readiness(router.endpoints)];
      const text = [
        prometheusText([{ labels: {}, families: http }], ['']),
        prometheusText([...gateway, ...backbones, ...encoders], ['autoglm:']),
        // What dashboards for vLLM know is the engine.
        prometheusText(backbones, ['vllm:']),
      ].join('');
      return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text);
    },
  };
}

async function scrape(
  instances: readonly Pick<ScrapedInstance, 'address' | 'instance'>[],
  signal: AbortSignal,
  labelsOf: (index: number) => Readonly<Record<string, string>>,
): Promise<MetricSource[]> {
  const scrapes = instances.map(async ({ address, instance }, i) => {
    const { families } = await instance.getMetrics({}, { signal });
    return { labels: { ...labelsOf(i), instance: address }, families };
  });
  const settled = await Promise.allSettled(scrapes);
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}

function readiness(endpoints: readonly Endpoint[]): MetricSource {
  const samples = endpoints.map(({ address, isReady }, i) => ({
    suffix: '',
    labels: { engine: String(i), instance: address },
    value: isReady ? 1 : 0,
  }));
  const kind = MetricKind.METRIC_KIND_GAUGE;
  const help = 'Whether the backbone is ready, 1 or 0.';
  return { labels: {}, families: [{ name: 'gateway_backbone_ready', help, kind, samples }] };
}
