import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FOREIGN_FLAGS } from '#deploy/cli/foreign-flags.ts';
import { parseServeFlags } from '#deploy/cli/serve.ts';
import { serveOptions } from '#deploy/cli/serve-options.ts';
import { keysOf } from '#mesh/options.ts';
import { README } from '#test/readme.ts';
import { refusalOf } from '#test/refusal.ts';

/** Open-AutoGLM's README starts vLLM with these flags. */
const OPEN_AUTOGLM = [
  ...['--served-model-name', 'autoglm-phone-9b', '--allowed-local-media-path', '/'],
  ...['--mm-encoder-tp-mode', 'data', '--mm_processor_cache_type', 'shm'],
  ...['--mm_processor_kwargs', '{"max_pixels":5000000}', '--max-model-len', '25480'],
  ...['--chat-template-content-format', 'string', '--limit-mm-per-prompt', '{"image":10}'],
  ...['--model', 'zai-org/AutoGLM-Phone-9B', '--port', '8000'],
];

describe('a launch line of the field', () => {
  it('is understood as the README has it', () => {
    const lines = [...README.matchAll(/^ {4}npm start -- (.*)$/gm)].map(([, line = '']) => line);

    assert(lines.length >= 2);
    for (const line of lines) assert.deepEqual(parseServeFlags(line.split(' ')).ignored, []);
  });

  it('is read as Open-AutoGLM documents it', () => {
    const { values, ignored } = parseServeFlags(OPEN_AUTOGLM);

    assert.deepEqual(values, {
      servedModelName: ['autoglm-phone-9b'],
      allowedLocalMediaPath: '/',
      mmProcessorKwargs: '{"max_pixels":5000000}',
      maxModelLen: '25480',
      chatTemplateContentFormat: 'string',
      limitMmPerPrompt: '{"image":10}',
      model: 'zai-org/AutoGLM-Phone-9B',
      port: '8000',
    });
    assert.deepEqual(ignored, [
      'ignored, no meaning here: --mm-encoder-tp-mode, --mm-processor-cache-type',
    ]);
  });

  it('may have the model anywhere, as in vllm serve MODEL', () => {
    const line = ['--trust-remote-code', 'dir', '--enforce_eager', '--swap-space', '4', '-tp', '1'];

    const { values } = parseServeFlags(line);

    assert.deepEqual(values, { model: 'dir', enforceEager: true, tensorParallelSize: '1' });
  });

  it('is understood in the words of SGLang and llama.cpp', () => {
    const sglang = '--model-path dir --mem-fraction-static 0.8 --context-length 8k --tp 1';
    const llama = '-m dir -c 4096 -ngl 99 -t 8 --jinja -fa';

    assert.deepEqual(parseServeFlags(sglang.split(' ')).values, {
      model: 'dir',
      gpuMemoryUtilization: '0.8',
      maxModelLen: 8000,
      tensorParallelSize: '1',
    });
    assert.deepEqual(parseServeFlags(llama.split(' ')).values, {
      model: 'dir',
      maxModelLen: '4096',
      threads: '8',
    });
  });

  const values = [
    { line: '--dtype float16', read: { dtype: 'half' } },
    { line: '--dtype=float', read: { dtype: 'float32' } },
    { line: '--dtype bfloat16', read: { dtype: 'bfloat16' } },
    { line: '--max-model-len 16K', read: { maxModelLen: 16384 } },
    { line: '--max_model_len=25.6k', read: { maxModelLen: 25600 } },
    { line: '--max-model-len auto', read: {} },
    { line: '--log-level warning', read: { logLevel: 'warn' } },
    { line: '--api-key a b', read: { apiKey: 'a,b' } },
    { line: '--api-key=a', read: { apiKey: 'a' } },
    { line: '--allowed-origins ["http://a","b"]', read: { corsAllowOrigin: ['http://a', 'b'] } },
    { line: '--allowed-origins *', read: { corsAllowOrigin: ['*'] } },
    { line: '--quantization None --load-format auto', read: {} },
    { line: '--pipeline-parallel-size 1 --root-path=', read: {} },
    { line: '-dp=2', read: { llmBackboneReplicas: '2' } },
    { line: '-O3 -O.mode=3 -O 3 -cc.level 2', read: {} },
    { line: '--compilation-config.level 3 --cuda-graph-bs 1 2 4 --port 1', read: { port: '1' } },
    { line: '--no-enable-lora --no-enable-log-requests --no-trust-remote-code', read: {} },
    {
      line: '--reasoning-parser glm45 --tool-call-parser glm45 --enable-auto-tool-choice',
      read: { reasoningParser: 'glm45', toolCallParser: 'glm45' },
    },
    { line: '--uvicorn-log-level info --disable-log-requests --disable-log-stats', read: {} },
    { line: '--mm-processor-cache-gb 0 --guided-decoding-backend auto', read: {} },
  ];
  for (const { line, read } of values) {
    it(`is read: ${line}`, () => {
      assert.deepEqual(parseServeFlags(line.split(' ')).values, read);
    });
  }

  const refusals = [
    {
      line: '--quantization fp8',
      message: /^--quantization=fp8: a quantized checkpoint's own files say.*--quantize int8/,
    },
    { line: '-q awq', message: /^--quantization=awq/ },
    { line: '--ssl-keyfile k', message: /^--ssl-keyfile=k: .*HTTP only/ },
    { line: '--ssl_certfile=k', message: /HTTP only/ },
    { line: '--enable-lora', message: /^--enable-lora: adapters/ },
    { line: '--lora-modules a=b c=d', message: /adapters/ },
    { line: '--root-path /v', message: /^--root-path/ },
    { line: '--no-enable-prefix-caching', message: /share their cache/ },
    { line: '--disable-radix-cache', message: /share their cache/ },
    { line: '--tokenizer other', message: /tokenizer\.json/ },
    { line: '--load-format dummy', message: /safetensors/ },
    { line: '--pipeline-parallel-size 2', message: /one process/ },
    { line: '--hf-overrides {}', message: /model's own files/ },
    { line: '--mm-processor-kwargs.max_pixels 5', message: /--mm-processor-kwargs as one JSON/ },
    {
      line: '--max-modle-len 5',
      message: /unknown flag --max-modle-len; did you mean "max-model-len"/,
    },
    { line: 'a b', message: /unexpected argument "b"/ },
    { line: 'a --model b', message: /both DIR/ },
  ];
  for (const { line, message } of refusals) {
    it(`is refused: ${line}`, () => {
      assert.match(refusalOf(() => parseServeFlags(line.split(' '))).message, message);
    });
  }

  it('has flags in place of which there are options of that name', () => {
    const own = keysOf(serveOptions);
    const aliases = [...FOREIGN_FLAGS.values()].flatMap((flag) =>
      flag.kind === 'alias' ? [flag.of] : [],
    );

    assert.deepEqual(
      aliases.filter((name) => !own.includes(name)),
      [],
    );
  });
});
