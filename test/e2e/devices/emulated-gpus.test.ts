import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { within } from '#test/bounded.ts';
import { writeShallowPhone } from '#test/checkpoint/shallow-phone.ts';
import {
  type Body,
  onText,
  postChat,
  streamAnswer,
  userMessage,
} from '#test/e2e/request/chat-request.ts';
import { uniqueAudio, uniqueImage } from '#test/e2e/request/unique-media.ts';
import {
  EMULATOR_REPORT,
  GpuFaults,
  noEmulatedGpus,
  withEmulatedGpus,
} from '#test/emulated-gpus.ts';
import { scrape } from '../counters.ts';
import { type Mesh, type MeshSettings, property, startMesh } from '../mesh.ts';

/** Longest time that an answer may take on a busy machine, ms: a token takes some hundred. */
const ANSWER_MS = 120_000;
const GREEDY = { temperature: 0, ignore_eos: true };
const TEXT: Body = { ...GREEDY, messages: userMessage('Who are you?'), max_tokens: 6 };
const NUM_MEDIA_TOKENS = 3;
const NO_ENCODERS = { 'vision-encoder': 0, 'speech-encoder': 0 };

interface Answer {
  readonly status: number;
  readonly text: unknown;
  readonly message: string;
}

async function ask(url: string, body: Body): Promise<Answer> {
  const posted = within(postChat(url, body), { what: 'an answer', boundMs: ANSWER_MS });
  const { status, body: answer } = await posted;
  return {
    status,
    text: property(answer, 'choices', 0, 'message', 'content'),
    message: String(property(answer, 'error', 'message')),
  };
}

/** Returns the lines of processes that have ended unasked. */
const crashesOf = ({ lines }: Mesh): readonly string[] =>
  lines.seen.filter((line) => /starting it again/.test(line));

describe('phone-nano, one layer of each kind, on emulated GPUs', { skip: noEmulatedGpus }, () => {
  const shared: MeshSettings = {
    // Steps of the emulator are slow, and its largest one is part of a start.
    flags: ['--max-num-batched-tokens=16', '--max-num-seqs=4', '--max-model-len=512'],
    keys: ['progress-timeout-s: 60', 'liveness-timeout-s: 60', 'recovery-wait-s: 60'],
  };
  let model: string;
  let media: Body;
  /** What a CPU answers. */
  const expected = new Map<Body, unknown>();

  before(async () => {
    model = join(await mkdtemp(join(tmpdir(), 'autoglm-shallow-')), 'phone');
    await writeShallowPhone(model);
    media = {
      ...GREEDY,
      messages: userMessage([await uniqueImage(), await uniqueAudio()]),
      max_tokens: NUM_MEDIA_TOKENS,
    };
    const mesh = await startMesh({ ...shared, model, backbone: ['device: cpu'] });
    for (const body of [TEXT, media]) {
      const { status, text, message } = await ask(mesh.url, body);
      assert.equal(status, 200, message);
      expected.set(body, text);
    }
    await mesh.stop();
  });

  describe('a language model that two GPUs share, beside an encoder on each', () => {
    const faults = new GpuFaults();
    let mesh: Mesh;
    before(async () => {
      mesh = await startMesh({
        ...shared,
        model,
        backbone: ["device: ['cuda:0', 'cuda:1']"],
        env: {
          ...withEmulatedGpus(2),
          ...faults.env,
          AUTOGLM_VISION_ENCODER__DEVICE: 'cuda:0',
          AUTOGLM_SPEECH_ENCODER__DEVICE: 'cuda:1',
        },
      });
    });
    after(async () => {
      assert.equal(await mesh.stop(), 0);
      assert.deepEqual(crashesOf(mesh), []);
      assert(!mesh.errors.seen.some((line) => EMULATOR_REPORT.test(line)));
    });

    /** Asks in words while a fault is planned; then all is as before. */
    async function askThrough(fault: 'out-of-memory' | 'late', gpu: number): Promise<Answer> {
      faults.plan(fault, gpu);
      const failed = await ask(mesh.url, TEXT);
      assert(faults.areMet, 'no GPU met the fault');
      const { status, text, message } = await ask(mesh.url, TEXT);
      assert.equal(status, 200, message);
      assert.equal(text, expected.get(TEXT));
      return failed;
    }

    it('says where its models are', async () => {
      await mesh.lines.match(/Initializing multi-GPU pipeline on devices: \[0, 1\]/);
      await mesh.lines.match(/Vision encoder loaded on cuda:0 \(phone/);
      await mesh.lines.match(/Speech encoder loaded on cuda:1 \(phone/);
      await mesh.lines.match(/LLM backbone distributed across cuda:0, cuda:1 \(phone/);
      await mesh.lines.match(/values of the devices meet through peer access/);
    });

    it('answers an image and a recording with the tokens of a CPU', async () => {
      const { status, text, message } = await ask(mesh.url, media);

      assert.equal(status, 200, message);
      assert.equal(text, expected.get(media));
    });

    it('shows the GPUs of its processes among its metrics', async () => {
      const metrics = await scrape(mesh.url);

      for (const gpu of [0, 1]) {
        const gauge = `autoglm:gpu_memory_total_bytes\\{[^}]*device="${gpu}"[^}]*\\} ${2 * 2 ** 30}`;
        assert.match(metrics, new RegExp(gauge));
      }
    });

    it('answers 503 to those in a step for which a GPU has no memory, and goes on', async () => {
      const { status, message } = await askThrough('out-of-memory', 0);

      assert.equal(status, 503, message);
      assert.match(message, /cuda:0 is out of memory/);
    });

    it('answers 500 to those in a step in which a GPU waited in vain, and goes on', async () => {
      const { status, message } = await askThrough('late', 1);

      assert.equal(status, 500, message);
    });
  });

  describe('two language models that have chosen a GPU each', () => {
    const faults = new GpuFaults();
    let mesh: Mesh;
    before(async () => {
      mesh = await startMesh({
        ...shared,
        model,
        numBackbones: 2,
        numEncoders: NO_ENCODERS,
        env: { ...withEmulatedGpus(2), ...faults.env },
      });
    });
    after(() => mesh.stop());

    it('have one of two GPUs each', async () => {
      await mesh.lines.match(/Initializing multi-GPU pipeline on devices: \[0, 1\]/);
      await mesh.lines.match(/LLM backbone loaded on cuda:0 \(phone/);
      await mesh.lines.match(/LLM backbone loaded on cuda:1 \(phone/);
    });

    it('go on with an answer on one GPU when the other fails for good, and have both again', async () => {
      await mesh.lines.match(/LLM backbone loaded on cuda:1/);
      const numLines = mesh.lines.seen.length;
      const plan = () => {
        if (mesh.errors.seen.length === 0) faults.plan('failure', 'any');
      };
      const answer = await within(streamAnswer(mesh.url, TEXT, onText(plan)), {
        what: 'an answer',
        boundMs: ANSWER_MS,
      });

      assert.equal(answer.error, undefined);
      assert(answer.done);
      assert.equal(answer.text, expected.get(TEXT));
      await mesh.errors.match(/CHECK failed at .*: unspecified launch failure/);
      await mesh.lines.match(/llm-backbone.* was killed by SIGABRT.*starting it again/, numLines);
      await mesh.lines.match(/LLM backbone loaded on cuda:[01]/, numLines);
      await mesh.lines.match(/LLM backbone 127\.0\.0\.1:\d+ is ready/, numLines);
      assert.equal(crashesOf(mesh).length, 1, crashesOf(mesh).join('\n'));
    });
  });
});
