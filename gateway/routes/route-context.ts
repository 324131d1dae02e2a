import type { InFlight } from '#gateway/http/in-flight.ts';
import type { SseOptions } from '#gateway/http/sse.ts';
import type { MediaIntake } from '#gateway/media/media-intake.ts';
import type { Router } from '#gateway/routing/router.ts';
import type { ScrapedPeer } from '#gateway/routing/scraped-peer.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import type { PeerSet } from '#mesh/peers/peer-set.ts';
import type { GenerationMetrics } from './generation-metrics.ts';

/** The parts of the gateway that routes that generate work with. */
export interface AnswerContext {
  readonly router: Pick<Router, 'resolve' | 'generate'>;
  readonly inFlight: Pick<InFlight, 'admit'>;
  readonly intake: Pick<MediaIntake, 'check' | 'load'>;
  readonly metrics: GenerationMetrics;
  readonly stream: SseOptions;
  /** Most log-probabilities that one answer may have. */
  readonly maxAnswerLogprobs: number;
  readonly log: Log;
}

/** The parts of the gateway that routes work with. */
export interface RouteContext extends AnswerContext {
  readonly router: Router;
  /** Processes that are asked only for `/metrics`. */
  readonly scraped: PeerSet<ScrapedPeer>;
  readonly inFlight: InFlight;
  readonly intake: MediaIntake;
  /** Every metric of this process. */
  readonly registry: MetricRegistry;
}
