/**
 * Answer of `GET /v1/autoglm/mesh`: every process that the gateway knows, at one moment. Counters
 * only grow during a process's life; whoever wants rates takes the difference of two answers with
 * the same `life`.
 */
export interface MeshOverview {
  readonly object: 'mesh';
  /** When it was read, Unix milliseconds. */
  readonly read_ms: number;
  readonly gateway: GatewayOverview;
  /** Backbones first, then encoders, each in the order of the membership. */
  readonly instances: readonly InstanceOverview[];
  /** Number of instances that are not among `instances`, which holds the first 256. */
  readonly num_omitted: number;
}

/** The gateway that answers. */
export interface GatewayOverview {
  readonly instance_name: string;
  readonly version: string;
  readonly pid: number;
  readonly uptime_ms: number;
  readonly state: 'ready' | 'degraded' | 'not_ready' | 'draining';
  /** Requests that are being answered, and the number beyond which 429 is answered. */
  readonly num_requests: number;
  readonly max_requests: number;
  /** Requests with POST that were answered since the start, and those of them that failed with a status of 500 or more. */
  readonly requests_total: number;
  readonly failures_total: number;
  /** Number and sum of the times to the first token since the start, seconds. */
  readonly ttft_count: number;
  readonly ttft_sum_s: number;
  /** Requests sent to another endpoint before their first token, and begun answers that another one went on with. */
  readonly retries_total: number;
  readonly resumes_total: number;
}

/**
 * - `ready`: it is asked.
 * - `starting`: it loads, or has not described its model yet.
 * - `draining`: it finishes what it has.
 * - `failed`: it runs and cannot serve; see `detail`.
 * - `refused`: it runs and is not asked, because it does not fit; see `detail`.
 * - `away`: nothing is heard of it.
 */
export type InstanceOverviewState =
  | 'ready'
  | 'starting'
  | 'draining'
  | 'failed'
  | 'refused'
  | 'away';

/** `encoder`: one that was never heard, so that its kind is unknown. */
export type InstanceOverviewRole = 'llm-backbone' | 'vision-encoder' | 'speech-encoder' | 'encoder';

/** One backbone or encoder. What is unknown is null; of one that is away, the last is known. */
export interface InstanceOverview {
  readonly address: string;
  readonly role: InstanceOverviewRole;
  readonly state: InstanceOverviewState;
  /** Why it is not ready, in words; empty if it is, or does not say. */
  readonly detail: string;
  /** Number of outages that the gateway has seen: another value is another run of the process. */
  readonly life: number;
  readonly instance_name: string | null;
  readonly version: string | null;
  readonly pid: number | null;
  readonly uptime_ms: number | null;
  /** Such as "cpu:0-1" or "cuda:0", and the instruction set of its kernels. */
  readonly device: string | null;
  readonly isa: string | null;
  readonly model: string | null;
  /** Hex weights fingerprint. */
  readonly fingerprint: string | null;
  /** Type of the weights in memory, such as "bfloat16", and their quantization, such as "int8". */
  readonly weight_dtype: string | null;
  readonly quantization: string | null;
  /** Work inside it at this moment; null while it is away. */
  readonly load: InstanceOverviewLoad | null;
  /** What it has done since its start; null if it does not answer. */
  readonly counters: InstanceOverviewCounters | null;
}

export interface InstanceOverviewLoad {
  /** Requests of a backbone, items of an encoder. */
  readonly num_running: number;
  readonly num_waiting: number;
  readonly capacity: number;
  /** Tokens that a backbone has yet to compute; 0 for an encoder. */
  readonly num_outstanding_tokens: number;
  /** Share of a backbone's KV cache in use, 0 to 1; null for an encoder. */
  readonly kv_cache_use: number | null;
}

export interface InstanceOverviewCounters {
  /** Tokens of prompts and answers that a backbone computed; 0 for an encoder. */
  readonly prompt_tokens: number;
  readonly generation_tokens: number;
  /** Lookups in the prefix cache of a backbone (tokens) or in the cache of an encoder (items). */
  readonly cache_queries: number;
  readonly cache_hits: number;
}
