import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { LlmBackboneServiceDefinition } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import { programArgs } from '#test/program.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import { chatOf, requestsOf, startOf } from './harness.ts';

const NANO = join(PACKAGE_ROOT, 'deploy', 'models', 'phone-nano');
const ADDON = join(PACKAGE_ROOT, 'build', 'native', 'autoglm.node');
const skip = existsSync(ADDON) ? false : `${ADDON} is not built`;

type Child = ChildProcessByStdio<null, Readable, null>;

function run(...flags: string[]): Child {
  const args = [...programArgs('services/llm-backbone/main'), '--listen', '127.0.0.1:0'];
  return spawn(
    process.execPath,
    [...args, '--kv-cache-gb', '0.05', '--log-format', 'json', ...flags],
    {
      cwd: PACKAGE_ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
}

/** Reads messages of the log, up to the one that matches. */
async function messagesUntil(child: Child, pattern: RegExp): Promise<string[]> {
  const messages: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    messages.push(JSON.parse(line).msg);
    if (pattern.test(messages.at(-1) ?? '')) return messages;
  }
  throw new Error(`the log ended without ${pattern}: ${messages.join('\n')}`);
}

interface Answered {
  /** The log until the process listened. */
  readonly messages: readonly string[];
  readonly text: string;
  /** Exit status and signal. */
  readonly exit: unknown;
}

/** Starts a backbone, asks it who it is, and ends it. */
async function answerOf(...flags: string[]): Promise<Answered> {
  const child = run(...flags);
  const exited = once(child, 'exit');
  const messages = await messagesUntil(child, /listening on/);
  const address = / on (\S+)$/.exec(messages.at(-1) ?? '')?.[1] ?? '';
  const channel = openChannel(address, 'tokens');
  const client = createMeshClient(LlmBackboneServiceDefinition, channel);
  const start = startOf({
    prompt: chatOf('你是谁?'),
    sampling: { maxTokens: 100, temperature: undefined },
  });
  const { answers } = await collect(client.generate(requestsOf(start)));
  channel.close();
  child.kill('SIGTERM');
  return { messages, text: answers[0]?.text ?? '', exit: await exited };
}

/** Runs a start that is refused; returns its last message and its exit status. */
async function refusedStart(...flags: string[]): Promise<{ message: string; code: number }> {
  const child = run(...flags);
  const exited = once(child, 'exit');
  const messages: string[] = [];
  for await (const line of createInterface({ input: child.stdout }))
    messages.push(JSON.parse(line).msg);
  const [code] = await exited;
  return { message: messages.at(-1) ?? '', code };
}

describe('the llm-backbone process', { skip }, () => {
  const copy = mkdtempSync(join(tmpdir(), 'model-'));
  after(() => rmSync(copy, { recursive: true }));

  it('loads, answers, and leaves on SIGTERM with status 0', async () => {
    const { messages, text, exit } = await answerOf('--model', NANO);

    assert.match(
      messages[0] ?? '',
      /^loading the weights of phone-nano \(KV cache: 0\.\d\d GiB\)$/,
    );
    assert.match(
      messages[1] ?? '',
      /^LLM backbone loaded on cpu:\S+ \(phone-nano, bfloat16, \d+\.\d s\)$/,
    );
    assert.match(text, /^我是 AutoGLM-Phone-Nano，/);
    assert.deepEqual(exit, [0, null]);
  });

  it('maps the weights that an earlier start has kept, and answers as before', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'weights-'));
    after(() => rmSync(folder, { recursive: true }));

    const first = await answerOf('--model', NANO, '--weights-cache', folder);
    const second = await answerOf('--model', NANO, '--weights-cache', folder);
    const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.weights'));
    truncateSync(join(folder, file), 5000);
    const third = await answerOf('--model', NANO, '--weights-cache', folder);

    const lines = (messages: readonly string[]) =>
      messages.filter((line) => line.includes(folder)).map((line) => line.split(folder)[0]);
    assert.match(lines(first.messages)[0] ?? '', /^weights written and mapped: 0\.01 GiB of $/);
    assert.match(lines(second.messages)[0] ?? '', /^weights mapped: 0\.01 GiB of $/);
    assert.match(third.messages.join('\n'), /has 5000 bytes, expected \d+; it was written again/);
    assert.match(first.text, /^我是 AutoGLM-Phone-Nano，/);
    assert.deepEqual([second.text, third.text], [first.text, first.text]);
  });

  it('refuses a model that does not fit in memory before it reads it', async () => {
    const { message, code } = await refusedStart('--model', NANO, '--kv-cache-gb', '60000');

    assert.match(
      message,
      /does not fit in memory: weights of 0\.01 GiB and a KV cache of 60000\.0 GiB; [\d.]+ GiB of the machine's [\d.]+ GiB are free.*"kv-cache-gb"/,
    );
    assert.equal(code, 1);
  });

  it('keeps the KV cache in int8 when told to, and says so', async () => {
    const child = run('--model', NANO, '--kv-cache-dtype', 'int8');
    const exited = once(child, 'exit');
    const messages = await messagesUntil(child, /listening on/);
    const address = / on (\S+)$/.exec(messages.at(-1) ?? '')?.[1] ?? '';
    const channel = openChannel(address, 'tokens');
    const start = startOf({
      prompt: chatOf('你是谁?'),
      sampling: { maxTokens: 100, temperature: undefined },
    });

    const client = createMeshClient(LlmBackboneServiceDefinition, channel);
    const { answers } = await collect(client.generate(requestsOf(start)));
    const instance = createMeshClient(InstanceServiceDefinition, channel);
    const { families } = await instance.getMetrics({});
    channel.close();
    child.kill('SIGTERM');

    assert.match(answers[0]?.text ?? '', /^我是 AutoGLM-Phone-Nano，/);
    const config = families.find(({ name }) => name === 'cache_config_info');
    assert.equal(config?.samples[0]?.labels['cache_dtype'], 'int8');
    assert.deepEqual(await exited, [0, null]);
  });

  it('names the types of KV cache there are', async () => {
    const { message, code } = await refusedStart('--model', NANO, '--kv-cache-dtype', 'fp8');

    assert.match(message, /kv-cache-dtype.*auto, bfloat16, float32, int8/);
    assert.equal(code, 1);
  });

  it('refuses more ranks than there are cores in one line', async () => {
    const { message, code } = await refusedStart('--model', NANO, '--tensor-parallel-size', '1024');

    assert.match(message, /key "tensor-parallel-size": got 1024, and cpu has/);
    assert.equal(code, 1);
  });

  it('names the file of a checkpoint that is cut short', async () => {
    cpSync(NANO, copy, { recursive: true, filter: (path) => !path.includes('media') });
    truncateSync(join(copy, 'model.safetensors'), 1_000_000);

    const { message, code } = await refusedStart('--model', copy);

    assert.match(message, /model\.safetensors/);
    assert.equal(code, 1);
  });

  it('names a device that is not there', async () => {
    const { message, code } = await refusedStart('--model', NANO, '--device', 'cuda:9');

    assert.match(message, /key "device": cuda:9: this (machine has no NVIDIA driver|process has)/);
    assert.equal(code, 1);
  });
});
