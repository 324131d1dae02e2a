/** One trouble as an operator meets it. */
export interface Trouble {
  /** The field's name for it. */
  readonly name: string;
  /** What is seen, and where. */
  readonly seen: string;
  readonly meaning: string;
  readonly cure: string;
}

/** The troubles that operators of model servers know, and what they look like here. */
export const TROUBLES: readonly Trouble[] = [
  {
    name: 'Out of memory at start',
    seen: '`autoglm serve` ends with status 1 and names `kv-cache-gb`, `dtype` or `quantize-tower`; or a process "was killed by SIGKILL before it had started"',
    meaning:
      'Weights and KV cache do not fit the memory of the device; without a message, the kernel killed the process.',
    cure: 'Lower `kv-cache-gb`, set `quantize: int8` or `int4` and `kv-cache-dtype: int8`, spread the model over several devices (`device` as a list), or use a larger one. Containers: raise the limit of memory.',
  },
  {
    name: 'Out of memory while serving',
    seen: '503 `no_ready_endpoint` "not enough free memory for the item", or the log says that a process was killed by SIGKILL and restarts',
    meaning: 'A large item found no memory on its encoder; or the kernel killed a process.',
    cure: 'Lower `max-image-pixels`, `max-batch-size`, `encoder-cache-mb` or `media-buffer-mb`; leave the rest of the machine more memory. `dmesg` names what the kernel killed.',
  },
  {
    name: 'Connection refused',
    seen: 'curl: "Failed to connect"; clients: `APIConnectionError`; `autoglm status`: no mesh',
    meaning: 'Nothing listens at that address: the mesh is not started, or listens elsewhere.',
    cure: 'Compare the port with the line "listening" of the log and the keys `host` and `port`; in a container publish the port. `host: 127.0.0.1` is reached from this machine only.',
  },
  {
    name: 'Connection reset, stream cut',
    seen: 'A stream ends without `[DONE]`; nginx: 502 or "upstream prematurely closed connection"',
    meaning: 'The gateway died, or a proxy ended an idle connection.',
    cure: 'Repeat the request with its `Idempotency-Key`. Proxies: turn buffering off and raise their read timeout, as `deploy/nginx/nginx.conf` does.',
  },
  {
    name: 'Address already in use',
    seen: '`autoglm serve` ends with status 1: "cannot listen" with the address and the key',
    meaning: 'Another process, often a mesh that still runs, has the port.',
    cure: 'End that one, or choose another `port` or `listen`; `ss -ltnp` names the owner.',
  },
  {
    name: 'Model not found',
    seen: '404 `model_not_found`, with the names that exist',
    meaning: 'The name in `model` is none of the served ones.',
    cure: 'Use a name of `GET /v1/models`, leave `model` out, or add the name to `served-model-name`.',
  },
  {
    name: 'Model directory is not read',
    seen: '`autoglm serve` ends with status 1: the file\'s path and "not found", "not JSON" or "is damaged"',
    meaning: 'The directory is incomplete: an interrupted download, or a pointer file of Git LFS.',
    cure: 'Fetch the file again; `autoglm verify DIR` reads every byte.',
  },
  {
    name: 'Slow first token',
    seen: 'Long TTFT; in `autoglm trace REQUEST_ID` the bar is `queue`, `encode` or `prefill`',
    meaning:
      '`queue`: more work than the backbones do. `encode`: the encoders are the narrow place. `prefill`: long prompts, or no prefix is cached.',
    cure: '`queue`: more backbones. `encode`: more encoders, smaller screenshots (`mm-processor-kwargs`), `encode-hedge`. `prefill`: keep the begin of prompts equal, raise `kv-cache-gb`, raise `max-num-batched-tokens`.',
  },
  {
    name: 'Slow tokens',
    seen: 'Long TPOT; the console shows few tokens a second and much running',
    meaning:
      'Too many sequences share the device, other programs share its cores, or weights are wide.',
    cure: 'Lower `max-num-seqs`, add replicas, give each process its own cores (`device: cpu:0-3`), set `quantize`.',
  },
  {
    name: 'Too many requests',
    seen: '429 `queue_full` with `retry-after`',
    meaning: 'A queue is full: the message names it and its key.',
    cure: 'Let clients retry as they are told; add replicas; raise the key only if the waiting time is still of use.',
  },
  {
    name: 'Service unavailable',
    seen: '503 `no_ready_endpoint`, `draining` or `engine_dead`; `GET /readyz` is 503',
    meaning: 'The mesh starts, restarts or ends, or nothing can do the work.',
    cure: '`autoglm status` shows each process and why it is not ready; a process that restarts again and again says why in its log.',
  },
  {
    name: 'Gateway timeout',
    seen: '504 `deadline_exceeded`, or 504 of a proxy in front',
    meaning: 'The answer took longer than `request-timeout-s`, or than the proxy waits.',
    cure: 'Stream, ask for fewer tokens, raise `request-timeout-s` and the timeout of the proxy.',
  },
  {
    name: 'Prompt is too long',
    seen: '400 `context_length_exceeded` with the numbers of tokens',
    meaning: 'The conversation, its images included, is longer than the context.',
    cure: 'Drop old turns and screenshots, scale screenshots down, lower `max_tokens`.',
  },
  {
    name: 'Invalid image',
    seen: '400 `unsupported_media`, or 400 `invalid_request` "is not valid base64"',
    meaning: 'The bytes are no picture that is read, or the data URL is damaged.',
    cure: 'Send `data:image/png;base64,` and the plain base64 of the file, without line breaks of a shell.',
  },
  {
    name: 'The page of another origin is refused',
    seen: 'The console of the browser: "blocked by CORS policy"; or 403 `host_not_allowed`',
    meaning: 'Pages of other origins may not call the API unless they are named.',
    cure: 'Name the origin in `cors-allow-origin`, the host in `allowed-hosts`.',
  },
  {
    name: 'GPU is not used',
    seen: '`autoglm serve` ends with status 1 and names `device`: no driver, an old one, or no kernels in this build',
    meaning: 'The driver, the GPU or the kernels of this build do not do.',
    cure: 'See the chapter "GPUs" of README.md; `nvidia-smi` shows driver and GPUs. `device: cpu` works everywhere.',
  },
  {
    name: 'Spans do not arrive',
    seen: 'The log says "spans are lost"; `trace_spans_dropped` grows',
    meaning: 'The collector is away, slow, or another protocol listens at that port.',
    cure: 'Port 4318 takes HTTP (path `/v1/traces`), 4317 gRPC; see `otlp-traces-endpoint` and `otlp-traces-protocol`. Requests never wait for it.',
  },
];
