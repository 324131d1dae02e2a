import type { Route } from '#gateway/http/route.ts';
import type { Peer } from '#mesh/peers/peer.ts';
import { METRICS_TYPE, metricsPage, type PageSource } from '#mesh/process/metrics-page.ts';
import type { RouteContext } from './route-context.ts';

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
      const own = { labels: {}, families: registry.collect(), isEngine: false };
      const signal = AbortSignal.timeout(SCRAPE_TIMEOUT_MS);
      const [backbones, encoders] = await Promise.all([
        scrape(router.endpoints, { signal, isEngine: true }),
        scrape(scraped.peers, { signal, isEngine: false }),
      ]);
      return reply.type(METRICS_TYPE).send(metricsPage([own, ...backbones, ...encoders]));
    },
  };
}

/** Returns the metrics of the processes that answer, each named by its address. */
async function scrape(
  peers: readonly Pick<Peer<unknown, unknown>, 'address' | 'instance'>[],
  { signal, isEngine }: { readonly signal: AbortSignal; readonly isEngine: boolean },
): Promise<PageSource[]> {
  const scrapes = peers.map(async ({ address, instance }) => {
    const { families } = await instance.getMetrics({}, { signal });
    return { labels: { address }, families, isEngine };
  });
  const settled = await Promise.allSettled(scrapes);
  return settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
}
