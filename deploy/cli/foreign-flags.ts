/** What becomes of a flag of another server's command line. */
export type ForeignFlag =
  /** It has one of our options' meaning; `list`: all its values, as one comma separated text. */
  | { readonly kind: 'alias'; readonly of: string; readonly isList?: boolean }
  /** It changes nothing here that a client or an operator relies on. */
  | { readonly kind: 'harmless'; readonly arity: Arity }
  /** Ignoring it would change answers or safety; `except`: values that ask for what is done here. */
  | {
      readonly kind: 'refused';
      readonly why: string;
      readonly except?: readonly string[];
      /** Without a value it asks for something that is not done. */
      readonly arity?: Arity;
    };

/** How many values follow a flag; `?`: none or one, `*`: any number. */
export type Arity = 0 | 1 | '?' | '*';

const alias = (of: string): ForeignFlag => ({ kind: 'alias', of });

function harmless(arity: Arity, names: string): [string, ForeignFlag][] {
  return names.split(/\s+/).map((name) => [name, { kind: 'harmless', arity }]);
}

function refused(
  names: string,
  why: string,
  { except = [], arity = 1 }: { readonly except?: readonly string[]; readonly arity?: Arity } = {},
): [string, ForeignFlag][] {
  return names.split(/\s+/).map((name) => [name, { kind: 'refused', why, except, arity }]);
}

const NO_TLS = 'this server speaks HTTP only; put a proxy with TLS in front of it';
const NO_LORA = 'adapters are not built; serve a checkpoint they are merged into';
const NO_QUANTIZATION =
  "a quantized checkpoint's own files say how it is read; --quantize int8 or int4 rounds another at load";
const ONE_PROCESS =
  'one model runs in one process; see tensor-parallel-size and llm-backbone-replicas';
const NO_SPECULATION = 'there is no draft model; see speculative-config';
const OWN_CONFIG = "the model's own files alone say how it computes; change them instead";
const CACHE_IS_ON = 'prompts that begin alike always share their cache';
const NO_MODULES = 'code cannot be loaded into this server';

/**
 * Flags of the servers that launch lines are written for: vLLM's `serve` (and
 * `vllm.entrypoints.openai.api_server`), SGLang's `launch_server` and llama.cpp's `llama-server`,
 * by their names without dashes in front. Options of our own come first and are not repeated.
 */
export const FOREIGN_FLAGS: ReadonlyMap<string, ForeignFlag> = new Map<string, ForeignFlag>([
  ['model-path', alias('model')],
  ['tp', alias('tensor-parallel-size')],
  ['tp-size', alias('tensor-parallel-size')],
  ['context-length', alias('max-model-len')],
  ['ctx-size', alias('max-model-len')],
  ['max-running-requests', alias('max-num-seqs')],
  ['max-queued-requests', alias('max-num-waiting')],
  ['chunked-prefill-size', alias('max-num-batched-tokens')],
  ['mem-fraction-static', alias('gpu-memory-utilization')],
  ['random-seed', alias('seed')],
  ['watchdog-timeout', alias('step-timeout-s')],
  ['data-parallel-size', alias('llm-backbone-replicas')],
  ['dp-size', alias('llm-backbone-replicas')],
  ['allowed-origins', alias('cors-allow-origin')],
  ['chat-template-file', alias('chat-template')],
  ['alias', alias('served-model-name')],
  ['api-key', { kind: 'alias', of: 'api-key', isList: true }],

  ...harmless(0, 'trust-remote-code disable-log-requests'),
  ...harmless(0, 'enable-log-requests disable-log-stats enable-log-outputs'),
  ...harmless(0, 'disable-uvicorn-access-log disable-fastapi-docs'),
  ...harmless(0, 'enable-offline-docs enable-request-id-headers kv-sharing-fast-prefill numa-bind'),
  ...harmless(0, 'enable-prefix-caching enable-chunked-prefill'),
  ...harmless(0, 'enable-prompt-tokens-details enable-server-load-tracking log-error-stack'),
  ...harmless(0, 'enable-auto-tool-choice exclude-tools-when-tool-choice-none async-scheduling'),
  ...harmless(0, 'allow-credentials trust-request-chat-template use-tqdm'),
  ...harmless(0, 'disable-custom-all-reduce disable-frontend-multiprocessing disable-cascade-attn'),
  ...harmless(0, 'disable-mm-preprocessor-cache enable-sleep-mode'),
  ...harmless(0, 'disable-hybrid-kv-cache-manager use-v2-block-manager calculate-kv-scales'),
  ...harmless(0, 'skip-mm-profiling enable-dbo enable-eplb enable-expert-parallel'),
  ...harmless(0, 'disable-async-output-proc ray-workers-use-nsight enable-mfu-metrics'),
  ...harmless(0, 'enable-layerwise-nvtx-tracing show-hidden-metrics enable-log-deltas'),
  ...harmless(0, 'enable-reasoning enable-tokenizer-info-endpoint enable-per-request-metrics'),
  ...harmless(1, 'mm-encoder-tp-mode mm-processor-cache-type mm-processor-cache-gb'),
  ...harmless(1, 'mm-shm-cache-max-object-size-mb mm-encoder-attn-backend'),
  ...harmless(1, 'reasoning-parser-plugin tool-parser-plugin swap-space'),
  ...harmless(1, 'uvicorn-log-level max-log-len log-config-file disable-access-log-for-endpoints'),
  ...harmless(1, 'block-size cpu-offload-gb num-gpu-blocks-override max-seq-len-to-capture'),
  ...harmless(1, 'max-parallel-loading-workers distributed-executor-backend worker-cls'),
  ...harmless(1, 'worker-extension-cls compilation-config cudagraph-capture-sizes kernel-config'),
  ...harmless(1, 'max-cudagraph-capture-size optimization-level attention-backend all2all-backend'),
  ...harmless(1, 'attention-config profiler-config otlp-traces-endpoint collect-detailed-traces'),
  ...harmless(1, 'download-dir safetensors-load-strategy ignore-patterns hf-token code-revision'),
  ...harmless(1, 'max-num-partial-prefills max-long-partial-prefills api-server-count'),
  ...harmless(1, 'long-prefill-token-threshold num-lookahead-slots'),
  ...harmless(1, 'guided-decoding-backend structured-outputs-config preemption-mode'),
  ...harmless(1, 'allowed-methods allowed-headers h11-max-incomplete-event-size'),
  ...harmless(1, 'h11-max-header-count kv-cache-metrics-sample prefix-caching-hash-algo'),
  ...harmless(1, 'renderer-num-workers tokenizer-pool-size tokenizer-pool-type ssl-cert-reqs'),
  ...harmless(1, 'fingerprint-mode fingerprint-value scheduler-cls video-pruning-rate'),
  ...harmless(1, 'cuda-graph-sizes numa-bind-nodes shutdown-timeout'),

  ...harmless(0, 'disable-cuda-graph disable-cuda-graph-padding enable-torch-compile log-requests'),
  ...harmless(0, 'enable-metrics enable-cache-report show-time-cost disable-overlap-schedule'),
  ...harmless(
    0,
    'enable-mixed-chunk enable-multimodal keep-mm-feature-on-device skip-server-warmup',
  ),
  ...harmless(
    0,
    'enable-p2p-check enable-nan-detection disable-outlines-disk-cache mm-enable-dp-encoder',
  ),
  ...harmless(0, 'enable-dp-attention disable-chunked-prefix-cache enable-memory-saver'),
  ...harmless(
    0,
    'delete-ckpt-after-loading disable-fast-image-processor enable-deterministic-inference',
  ),
  ...harmless(
    0,
    'enable-tokenizer-batch-encode triton-attention-reduce-in-fp32 jinja cont-batching',
  ),
  ...harmless(0, 'flash-attn no-mmap mlock metrics no-webui'),
  ...harmless(1, 'log-level-http log-requests-level schedule-policy schedule-conservativeness'),
  ...harmless(1, 'max-prefill-tokens prefill-max-requests page-size radix-eviction-policy'),
  ...harmless(1, 'cuda-graph-max-bs prefill-attention-backend decode-attention-backend'),
  ...harmless(1, 'mm-attention-backend sampling-backend grammar-backend'),
  ...harmless(1, 'decode-log-interval stream-output num-continuous-decode-steps'),
  ...harmless(1, 'torch-compile-max-bs base-gpu-id gpu-id-step tokenizer-worker-num nccl-port'),
  ...harmless(1, 'detokenizer-worker-num dist-init-addr dist-timeout mm-max-concurrent-calls'),
  ...harmless(1, 'weight-loader-disable-mmap warmups threads-batch batch-size ubatch-size'),
  ...harmless(1, 'n-gpu-layers gpu-layers threads-http'),
  ...harmless('*', 'cuda-graph-bs'),
  ...harmless(1, 'cudagraph-mode'),

  ...refused('no-enable-prefix-caching disable-radix-cache', CACHE_IS_ON, { arity: 0 }),
  ...refused('quantization', NO_QUANTIZATION, { except: ['none', 'None', 'null'] }),
  ...refused('quantization-param-path modelopt-quant torchao-config cache-type-k', NO_QUANTIZATION),
  ...refused('cache-type-v', NO_QUANTIZATION),
  ...refused('load-format', 'weights are read from safetensors files', {
    except: ['auto', 'safetensors', 'hf', 'fastsafetensors', 'runai_streamer'],
  }),
  ...refused('model-impl', 'the models built in are all there is', {
    except: ['auto', 'vllm', 'sglang'],
  }),
  ...refused('runner task', 'this server generates', { except: ['auto', 'generate', 'none'] }),
  ...refused('convert', 'this server generates', { except: ['auto', 'none'] }),
  ...refused('is-embedding embedding embeddings', 'this server generates', { arity: 0 }),
  ...refused('tokenizer tokenizer-path', "the model directory's own tokenizer.json is read"),
  ...refused('tokenizer-mode', "the model directory's own tokenizer.json is read", {
    except: ['auto', 'hf', 'slow', 'fast'],
  }),
  ...refused('tokenizer-revision revision', 'the model is what its directory holds; name another'),
  ...refused('skip-tokenizer-init', 'prompts of text need the tokenizer', { arity: 0 }),
  ...refused('hf-config-path hf-overrides rope-scaling rope-theta config-format', OWN_CONFIG),
  ...refused(
    'json-model-override-args model-loader-extra-config override-neuron-config',
    OWN_CONFIG,
  ),
  ...refused('override-generation-config default-chat-template-kwargs', OWN_CONFIG),
  ...refused('pooler-config override-pooler-config', OWN_CONFIG),
  ...refused('disable-sliding-window enable-fp32-lm-head', OWN_CONFIG, { arity: 0 }),
  ...refused('preferred-sampling-params', 'defaults come from generation_config.json'),
  ...refused('pipeline-parallel-size pp-size nnodes', ONE_PROCESS, {
    except: ['1'],
  }),
  ...refused('decode-context-parallel-size prefill-context-parallel-size ep-size', ONE_PROCESS, {
    except: ['1'],
  }),
  ...refused('data-parallel-size-local data-parallel-rank data-parallel-address', ONE_PROCESS),
  ...refused('node-rank master-addr master-port data-parallel-backend', ONE_PROCESS),
  ...refused('data-parallel-rpc-port data-parallel-start-rank', ONE_PROCESS),
  ...refused('data-parallel-hybrid-lb data-parallel-external-lb headless', ONE_PROCESS, {
    arity: 0,
  }),
  ...refused('enable-lora fully-sharded-loras enable-lora-bias', NO_LORA, { arity: 0 }),
  ...refused('lora-modules lora-paths lora lora-scaled', NO_LORA, { arity: '*' }),
  ...refused('max-loras max-lora-rank lora-dtype max-cpu-loras lora-extra-vocab-size', NO_LORA),
  ...refused('default-mm-loras lora-target-modules max-loras-per-batch', NO_LORA),
  ...refused('speculative-model num-speculative-tokens', NO_SPECULATION),
  ...refused('speculative-algorithm speculative-draft-model-path', NO_SPECULATION),
  ...refused('speculative-num-steps speculative-eagle-topk model-draft', NO_SPECULATION),
  ...refused('speculative-num-draft-tokens', NO_SPECULATION),
  ...refused('kv-transfer-config kv-events-config ec-transfer-config', 'caches are not shared'),
  ...refused('disaggregation-mode', 'prefill and decode run in one process', { except: ['null'] }),
  ...refused('ssl-keyfile ssl-certfile ssl-ca-certs ssl-ciphers ssl-keyfile-password', NO_TLS),
  ...refused('ssl-key-file ssl-cert-file', NO_TLS),
  ...refused('enable-ssl-refresh', NO_TLS, { arity: 0 }),
  ...refused('root-path fastapi-root-path api-prefix', 'let the proxy strip the path', {
    except: [''],
  }),
  ...refused('uds', 'this server listens on TCP; see --host and --port'),
  ...refused('middleware logits-processors io-processor-plugin', NO_MODULES, { arity: '*' }),
  ...refused('logits-processor-pattern tool-server', NO_MODULES),
  ...refused('enable-custom-logit-processor', NO_MODULES, { arity: 0 }),
  ...refused('admin-api-key', 'there are no routes for administrators; see --api-key'),
  ...refused('api-key-file', 'give keys by --api-key or by the variable AUTOGLM_API_KEY'),
  ...refused('response-role', 'answers have the role assistant', { except: ['assistant'] }),
  ...refused('return-tokens-as-token-ids tokens-only', 'answers have text', { arity: 0 }),
  ...refused('enable-force-include-usage', 'usage is sent to those who ask for it', { arity: 0 }),
  ...refused('enable-prompt-embeds enable-mm-embeds', 'prompts are text and media', { arity: 0 }),
  ...refused(
    'language-model-only',
    'for text alone, write vision-encoder: [] and speech-encoder: [] in the configuration',
    { arity: 0 },
  ),
  ...refused('interleave-mm-strings', 'media stand where their message has them', { arity: 0 }),
  ...refused('media-io-kwargs', 'see --max-media-mb and --max-image-pixels for limits'),
  ...refused('max-logprobs', 'up to 20 alternatives are given', { except: ['20'] }),
  ...refused('logprobs-mode', 'log-probabilities are of the raw logits', {
    except: ['raw_logprobs'],
  }),
  ...refused('scheduling-policy', 'requests are served first come, first served', {
    except: ['fcfs'],
  }),
  ...refused('enable-priority-scheduling', 'see --scheduling-policy', { arity: 0 }),
  ...refused('chat-template-kwargs completion-template', OWN_CONFIG),
  ...refused('kv-cache-memory-bytes max-total-tokens', 'see --kv-cache-gb'),
  ...refused('hf-repo hf-file model-url', 'a model is a directory on this machine; see --model'),
  ...refused('mmproj', 'the towers are part of the model directory'),
  ...refused('grpc-mode', 'the internal services speak gRPC always', { arity: 0 }),
  ...refused('weight-version custom-weight-loader', OWN_CONFIG),
]);

/** One-letter flags by their long names. */
export const SHORT_FLAGS: ReadonlyMap<string, string> = new Map([
  ['-tp', 'tensor-parallel-size'],
  ['-pp', 'pipeline-parallel-size'],
  ['-dp', 'data-parallel-size'],
  ['-dcp', 'decode-context-parallel-size'],
  ['-ep', 'enable-expert-parallel'],
  ['-q', 'quantization'],
  ['-O', 'optimization-level'],
  ['-cc', 'compilation-config'],
  ['-sc', 'speculative-config'],
  ['-asc', 'api-server-count'],
  ['-m', 'model'],
  ['-c', 'max-model-len'],
  ['-a', 'alias'],
  ['-ngl', 'n-gpu-layers'],
  ['-t', 'threads'],
  ['-b', 'batch-size'],
  ['-fa', 'flash-attn'],
  ['-hf', 'hf-repo'],
]);
