import type { Degradation } from '#gateway/degradation/degradation.ts';
import type { BodyMemory } from '#gateway/http/body/body-memory.ts';
import type { ClientIdentity } from '#gateway/http/client-identity.ts';
import type { InFlight } from '#gateway/http/in-flight.ts';
import type { SseOptions } from '#gateway/http/sse.ts';
import type { KeptAnswers } from '#gateway/idempotency/kept-answers.ts';
import type { MediaIntake } from '#gateway/media/media-intake.ts';
import type { ReasoningForm } from '#gateway/openai/answer/answer-form.ts';
import type { MeshReader } from '#gateway/overview/mesh-reader.ts';
import type { Router } from '#gateway/routing/router.ts';
import type { ScrapedPeer } from '#gateway/routing/scraped-peer.ts';
import type { Log } from '#mesh/log/log.ts';
import type { MetricRegistry } from '#mesh/metrics.ts';
import type { PeerSet } from '#mesh/peers/peer-set.ts';
import type { GenerationMetrics } from './generation-metrics.ts';

/** The parts of the gateway that routes that generate work with. */
export interface AnswerContext {
  readonly router: Pick<Router, 'resolve' | 'generate' | 'models'>;
  readonly inFlight: Pick<InFlight, 'admit'>;
  readonly intake: Pick<MediaIntake, 'check' | 'load'>;
  readonly clients: Pick<ClientIdentity, 'nameOf'>;
  /** The memory of request bodies and their media. */
  readonly memory: Pick<BodyMemory, 'add'>;
  /** Answers of requests with an Idempotency-Key. */
  readonly kept: Pick<KeptAnswers, 'join'>;
  /** What answers instead of a model that cannot; undefined: nothing does. */
  readonly degradation: Degradation | undefined;
  readonly metrics: GenerationMetrics;
  readonly stream: SseOptions;
  /** Most log-probabilities that one answer may have. */
  readonly maxAnswerLogprobs: number;
  /** Where thoughts go if a request does not say it. */
  readonly usualReasoning: ReasoningForm;
  readonly log: Log;
}

/** The parts of the gateway that routes work with. */
export interface RouteContext extends AnswerContext {
  readonly router: Router;
  /** Processes that are asked only for `/metrics`. */
  readonly scraped: PeerSet<ScrapedPeer>;
  readonly inFlight: InFlight;
  readonly intake: MediaIntake;
  readonly kept: KeptAnswers;
  /** Every metric of this process. */
  readonly registry: MetricRegistry;
  readonly mesh: Pick<MeshReader, 'read'>;
}
