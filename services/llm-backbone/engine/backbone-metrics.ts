import {
  type Counter,
  type Histogram,
  type Labels,
  type MetricRegistry,
  REQUEST_BUCKETS_S,
  TPOT_BUCKETS_S,
  TTFT_BUCKETS_S,
} from '#mesh/metrics.ts';
import type { DecoderDescription } from '#native';
import type { Scheduler, SchedulerCounts } from './scheduler.ts';

/** vLLM's buckets for token counts: 1, 2, 5, 10, … */
const TOKEN_BUCKETS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((n) => [n, 2 * n, 5 * n]);
const STEP_TOKEN_BUCKETS = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384];
/** From what a thread needs to wake to what a busy event loop takes. */
const STEP_GAP_BUCKETS_S = [20e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.1, 1];
const CHOICE_BUCKETS = [1, 2, 5, 10, 20];

export type FinishedReason = 'stop' | 'length' | 'abort' | 'error';

/**
 * Times of the events of a request, milliseconds of the monotonic clock; null if one never
 * happened.
 */
export interface RequestTimes {
  readonly arrivalMs: number;
  readonly queuedMs: number;
  readonly scheduledMs: number | null;
  readonly firstTokenMs: number | null;
  readonly lastTokenMs: number | null;
  readonly endMs: number;
}

/** Facts about a request that are counted when it ends. */
export interface RequestSummary {
  readonly reason: FinishedReason;
  readonly times: RequestTimes;
  readonly numPromptTokens: number;
  readonly numCompletionTokens: number;
  readonly numChoices: number;
  readonly maxTokens: number;
}

/** Tokens of a prompt. */
export interface PromptCounts {
  readonly numTokens: number;
  readonly numCachedTokens: number;
  readonly numImageTokens: number;
  readonly numAudioTokens: number;
}

/** The backbone's metrics under vLLM's names. */
export class BackboneMetrics {
  readonly #labels: Labels;
  readonly #registry: MetricRegistry;
  #isHealthy = true;
  /**
   * The part of the scheduler's counts already added to the counters, which other engines share.
   */
  #counted: SchedulerCounts = {
    numPreemptions: 0,
    numPrefixQueryTokens: 0,
    numPrefixHitTokens: 0,
  };

  readonly #promptTokens: Counter;
  readonly #cachedTokens: Counter;
  readonly #imageTokens: Counter;
  readonly #audioTokens: Counter;
  readonly #generationTokens: Counter;
  readonly #success: Counter;
  readonly #rejections: Counter;
  readonly #failedSteps: Counter;
  readonly #preemptions: Counter;
  readonly #prefixQueries: Counter;
  readonly #prefixHits: Counter;
  readonly #drafts: Counter;
  readonly #draftTokens: Counter;
  readonly #acceptedTokens: Counter;
  readonly #acceptedByPlace: Counter;
  readonly #ttft: Histogram;
  readonly #interToken: Histogram;
  readonly #tpot: Histogram;
  readonly #e2e: Histogram;
  readonly #queueTime: Histogram;
  readonly #prefillTime: Histogram;
  readonly #decodeTime: Histogram;
  readonly #inferenceTime: Histogram;
  readonly #stepTokens: Histogram;
  readonly #stepTime: Histogram;
  readonly #stepGap: Histogram;
  readonly #requestPromptTokens: Histogram;
  readonly #requestGenerationTokens: Histogram;
  readonly #paramsN: Histogram;
  readonly #paramsMaxTokens: Histogram;

  constructor(registry: MetricRegistry, modelName: string) {
    this.#labels = { model_name: modelName };
    this.#registry = registry;
    const counter = (name: string, help: string) => registry.counter(name, help);
    const seconds = (name: string, help: string, buckets: readonly number[]) =>
      registry.histogram(`${name}_seconds`, `${help}, seconds`, buckets);
    const tokens = (name: string, help: string, buckets: readonly number[]) =>
      registry.histogram(name, help, buckets);
    this.#promptTokens = counter('prompt_tokens', 'Prompt tokens computed or found in the cache');
    this.#cachedTokens = counter('prompt_tokens_cached', 'Prompt tokens found in the cache');
    this.#imageTokens = counter('prompt_image_tokens', 'Prompt tokens that are image rows');
    this.#audioTokens = counter('prompt_audio_tokens', 'Prompt tokens that are audio rows');
    this.#generationTokens = counter('generation_tokens', 'Tokens generated');
    this.#success = counter('request_success', 'Requests that ended, by reason');
    this.#rejections = counter('admission_rejections', 'Requests refused, by reason');
    this.#failedSteps = counter('failed_steps', 'Engine steps that failed');
    this.#preemptions = counter('num_preemptions', 'Sequences preempted');
    this.#prefixQueries = counter('prefix_cache_queries', 'Prompt tokens looked up');
    this.#prefixHits = counter('prefix_cache_hits', 'Prompt tokens found');
    this.#drafts = counter('spec_decode_num_drafts', 'Drafts verified');
    this.#draftTokens = counter('spec_decode_num_draft_tokens', 'Drafted tokens verified');
    this.#acceptedTokens = counter('spec_decode_num_accepted_tokens', 'Drafted tokens accepted');
    this.#acceptedByPlace = counter(
      'spec_decode_num_accepted_tokens_per_pos',
      'Drafted tokens accepted, by place in the draft',
    );
    this.#ttft = seconds('time_to_first_token', 'Arrival to first token', TTFT_BUCKETS_S);
    this.#interToken = seconds('inter_token_latency', 'Between tokens of a choice', TPOT_BUCKETS_S);
    this.#tpot = seconds('request_time_per_output_token', 'Mean time per token', TPOT_BUCKETS_S);
    this.#e2e = seconds('e2e_request_latency', 'Arrival to end', REQUEST_BUCKETS_S);
    this.#queueTime = seconds('request_queue_time', 'In the waiting queue', REQUEST_BUCKETS_S);
    this.#prefillTime = seconds('request_prefill_time', 'Start to first token', REQUEST_BUCKETS_S);
    this.#decodeTime = seconds('request_decode_time', 'First to last token', REQUEST_BUCKETS_S);
    this.#inferenceTime = seconds(
      'request_inference_time',
      'Start to last token',
      REQUEST_BUCKETS_S,
    );
    this.#stepTokens = tokens(
      'iteration_tokens_total',
      'Prompt tokens computed and tokens generated in a step',
      STEP_TOKEN_BUCKETS,
    );
    this.#stepTime = seconds(
      'step_time',
      'Submitting a step, or the end of the one before, to its commit',
      TPOT_BUCKETS_S,
    );
    this.#stepGap = seconds(
      'step_gap',
      'Idle time of the device between two steps while there was work',
      STEP_GAP_BUCKETS_S,
    );
    this.#requestPromptTokens = tokens('request_prompt_tokens', 'Prompt tokens', TOKEN_BUCKETS);
    this.#requestGenerationTokens = tokens(
      'request_generation_tokens',
      'Completion tokens',
      TOKEN_BUCKETS,
    );
    this.#paramsN = tokens('request_params_n', 'Choices asked for', CHOICE_BUCKETS);
    this.#paramsMaxTokens = tokens(
      'request_params_max_tokens',
      'max_tokens in effect',
      TOKEN_BUCKETS,
    );
  }

  /** Adds the gauges that read a scheduler. */
  watch(scheduler: Scheduler, cache: Pick<DecoderDescription, 'kvCacheDtype'>): void {
    const { pool, options } = scheduler;
    const level = (name: string, help: string, read: () => number) => ({ name, help, read });
    const reasons = 'Sequences waiting for room (capacity) or for rows of media (deferred)';
    const waitingFor = (read: () => number) =>
      level('num_requests_waiting_by_reason', reasons, read);
    const usage = 'Share of KV cache blocks in use, 0 to 1';
    const shape = {
      ...level('cache_config_info', 'Shape of the KV cache', () => 1),
      labels: {
        block_size: String(options.blockSize),
        num_gpu_blocks: String(options.numBlocks),
        cache_dtype: cache.kvCacheDtype,
        enable_prefix_caching: 'True',
      },
    };
    const levels = [
      level('num_requests_running', 'Sequences running', () => scheduler.running.length),
      level('num_requests_waiting', 'Sequences waiting', () => scheduler.waiting.length),
      {
        ...waitingFor(() => scheduler.waiting.length - scheduler.numWaitingForMedia),
        labels: { reason: 'capacity' },
      },
      { ...waitingFor(() => scheduler.numWaitingForMedia), labels: { reason: 'deferred' } },
      level('kv_cache_usage_perc', usage, () => 1 - pool.numFree / options.numBlocks),
      level('engine_healthy', '1 while the engine computes', () => Number(this.#isHealthy)),
      shape,
    ];
    this.#registry.show(levels, this.#labels);
  }

  engineDied(): void {
    this.#isHealthy = false;
  }

  /** `gapUs` is the device's idle time before the step; null if there was nothing to do. */
  stepFinished(
    step: { readonly numTokens: number; readonly ms: number; readonly gapUs: number | null },
    counts: SchedulerCounts,
  ): void {
    this.#stepTokens.observe(step.numTokens, this.#labels);
    this.#stepTime.observe(step.ms / 1000, this.#labels);
    if (step.gapUs !== null) this.#stepGap.observe(step.gapUs / 1e6, this.#labels);
    const counted = this.#counted;
    this.#counted = { ...counts };
    const since = (name: keyof SchedulerCounts) => counts[name] - counted[name];
    this.#preemptions.add(since('numPreemptions'), this.#labels);
    this.#prefixQueries.add(since('numPrefixQueryTokens'), this.#labels);
    this.#prefixHits.add(since('numPrefixHitTokens'), this.#labels);
  }

  /** Counts a draft of which the first `numAccepted` tokens are what the sequence goes on with. */
  verified(numTokens: number, numAccepted: number): void {
    this.#drafts.add(1, this.#labels);
    this.#draftTokens.add(numTokens, this.#labels);
    this.#acceptedTokens.add(numAccepted, this.#labels);
    for (let place = 0; place < numAccepted; place++) {
      this.#acceptedByPlace.add(1, { ...this.#labels, position: String(place) });
    }
  }

  stepFailed(): void {
    this.#failedSteps.add(1, this.#labels);
  }

  rejected(reason: string): void {
    this.#rejections.add(1, { ...this.#labels, reason });
  }

  /** Counts a generated token; `sincePreviousMs` is null for the first token of a choice. */
  tokenGenerated(sincePreviousMs: number | null): void {
    this.#generationTokens.add(1, this.#labels);
    if (sincePreviousMs !== null) this.#interToken.observe(sincePreviousMs / 1000, this.#labels);
  }

  promptScheduled(prompt: PromptCounts): void {
    this.#promptTokens.add(prompt.numTokens, this.#labels);
    this.#cachedTokens.add(prompt.numCachedTokens, this.#labels);
    this.#imageTokens.add(prompt.numImageTokens, this.#labels);
    this.#audioTokens.add(prompt.numAudioTokens, this.#labels);
  }

  requestEnded(summary: RequestSummary): void {
    const { numPromptTokens, numCompletionTokens, times } = summary;
    this.#success.add(1, { ...this.#labels, finished_reason: summary.reason });
    this.#requestPromptTokens.observe(numPromptTokens, this.#labels);
    this.#requestGenerationTokens.observe(numCompletionTokens, this.#labels);
    this.#paramsN.observe(summary.numChoices, this.#labels);
    this.#paramsMaxTokens.observe(summary.maxTokens, this.#labels);
    this.#observeSpan(this.#e2e, times.arrivalMs, times.endMs);
    this.#observeSpan(this.#ttft, times.arrivalMs, times.firstTokenMs);
    this.#observeSpan(this.#queueTime, times.queuedMs, times.scheduledMs);
    this.#observeSpan(this.#prefillTime, times.scheduledMs, times.firstTokenMs);
    this.#observeSpan(this.#decodeTime, times.firstTokenMs, times.lastTokenMs);
    this.#observeSpan(this.#inferenceTime, times.scheduledMs, times.lastTokenMs);
    const { firstTokenMs, lastTokenMs } = times;
    if (firstTokenMs === null || lastTokenMs === null || numCompletionTokens < 2) return;
    const perToken = (lastTokenMs - firstTokenMs) / (numCompletionTokens - 1);
    this.#tpot.observe(perToken / 1000, this.#labels);
  }

  #observeSpan(histogram: Histogram, fromMs: number | null, toMs: number | null): void {
    if (fromMs !== null && toMs !== null) histogram.observe((toMs - fromMs) / 1000, this.#labels);
  }
}
