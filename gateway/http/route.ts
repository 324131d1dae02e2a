import type { FastifyReply, FastifyRequest } from 'fastify';
import type { GatewayMetrics } from '#gateway/gateway-metrics.ts';
import type { MediaIntake } from '#gateway/media/media-intake.ts';
import type { Router } from '#gateway/routing/router.ts';
import type { ScrapedPeer } from '#gateway/routing/scraped-peer.ts';
import type { Log } from '#mesh/log/log.ts';
import type { PeerSet } from '#mesh/peers/peer-set.ts';
import type { InFlight } from './in-flight.ts';
import type { SseOptions } from './sse.ts';

/** What routes work with. */
export interface RouteContext {
  readonly router: Router;
  /** Processes that only `/metrics` asks. */
  readonly scraped: PeerSet<ScrapedPeer>;
  readonly inFlight: InFlight;
  readonly intake: MediaIntake;
  readonly metrics: GatewayMetrics;
  readonly stream: SseOptions;
  /** Log-probabilities one answer may have. */
  readonly maxAnswerLogprobs: number;
  readonly log: Log;
}

/** One method and path of the API. */
export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Unset: a body is JSON. */
  readonly body?: 'form';
  readonly handle: (request: FastifyRequest, reply: FastifyReply) => unknown;
}
