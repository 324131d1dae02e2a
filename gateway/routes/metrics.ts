import type { Route } from '#gateway/http/route.ts';
import type { Peer } from '#mesh/peers/peer.ts';
import { METRICS_TYPE, metricsPage, type PageSource } from '#mesh/process/metrics-page.ts';
import type { RouteContext } from './route-context.ts';

/** Milliseconds after which a process that has not answered is left out of the scrape. */
const SCRAPE_TIMEOUT_MS = 2000;

/**
 * Returns the route `GET /metrics`: the gateway's metrics, and those of every backbone and encoder
 * that answers. Whoever asks while a page is being made gets that one: anyone may ask, and a page costs
 * all processes some milliseconds.
 */
export function metricsRoute({ router, scraped, registry }: RouteContext): Route {
  let making: Promise<string> | undefined;
  const make = async (): Promise<string> => {
    try {
      const signal = AbortSignal.timeout(SCRAPE_TIMEOUT_MS);
      const [backbones, encoders] = await Promise.all([
        scrape(router.endpoints, { signal, isEngine: true }),
        scrape(scraped.peers, { signal, isEngine: false }),
      ]);
      const own = { labels: {}, families: registry.collect(), isEngine: false };
      return metricsPage([own, ...backbones, ...encoders]);
    } finally {
      making = undefined;
    }
  };
  return {
    method: 'GET',
    path: '/metrics',
    handle: async (_, reply) => {
      making ??= make();
      return reply.type(METRICS_TYPE).send(await making);
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
