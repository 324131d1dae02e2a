import type {
  GatewayOverview,
  InstanceOverview,
  InstanceOverviewCounters,
  MeshOverview,
} from '#mesh/overview/mesh-overview.ts';

/** Makes the overview of a backbone at `b:1` with these counters, of which nothing else is known. */
export function backboneOverview({
  life = 0,
  ...counters
}: Partial<InstanceOverviewCounters> & { readonly life?: number }): InstanceOverview {
  return {
    address: 'b:1',
    role: 'llm-backbone',
    state: 'ready',
    detail: '',
    life,
    instance_name: null,
    version: null,
    pid: null,
    uptime_ms: null,
    device: null,
    isa: null,
    model: null,
    fingerprint: null,
    weight_dtype: null,
    quantization: null,
    load: null,
    counters: {
      prompt_tokens: 0,
      generation_tokens: 0,
      cache_queries: 0,
      cache_hits: 0,
      ...counters,
    },
  };
}

/** Makes an overview of a gateway that has done nothing but `gateway`. */
export function meshOverview(
  readMs: number,
  gateway: Partial<GatewayOverview>,
  instances: readonly InstanceOverview[],
): MeshOverview {
  return {
    object: 'mesh',
    read_ms: readMs,
    gateway: {
      instance_name: 'g',
      version: '1.2.3',
      pid: 1,
      uptime_ms: 1,
      state: 'ready',
      num_requests: 0,
      max_requests: 1,
      requests_total: 0,
      failures_total: 0,
      ttft_count: 0,
      ttft_sum_s: 0,
      retries_total: 0,
      resumes_total: 0,
      ...gateway,
    },
    instances,
    num_omitted: 0,
  };
}
