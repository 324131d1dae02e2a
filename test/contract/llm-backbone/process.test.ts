import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, describe, it } from 'node:test';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { LlmBackboneServiceDefinition } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { collect } from '#test/unit/llm-backbone/test-engine.ts';
import { chatOf, requestsOf, startOf } from './harness.ts';

const MAIN = join(PACKAGE_ROOT, 'services', 'llm-backbone', 'main.ts');
const NANO = join(PACKAGE_ROOT, 'deploy', 'models', 'phone-nano');
const ADDON = join(PACKAGE_ROOT, 'build', 'native', 'autoglm.node');
const skip = existsSync(ADDON) ? false : `${ADDON} is not built`;

type Child = ChildProcessByStdio<null, Readable, null>;

function run(...flags: string[]): Child {
  const args = ['--conditions=source', '--import', 'tsx', MAIN, '--listen', '127.0.0.1:0'];
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
    const child = run('--model', NANO);
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

    assert.match(
      messages[0] ?? '',
      /^LLM backbone loaded on cpu:\S+ \(phone-nano, bfloat16, \d+\.\d s\)$/,
    );
    assert.match(answers[0]?.text ?? '', /^我是 AutoGLM-Phone-Nano，/);
    assert.deepEqual(await exited, [0, null]);
  });

  it('refuses more than one device a decoder in one line', async () => {
    const { message, code } = await refusedStart('--model', NANO, '--tensor-parallel-size', '2');

    assert.match(message, /key "tensor-parallel-size": got 2/);
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

    assert.match(message, /key "device": cuda:9 is not on this machine; it has cpu/);
    assert.equal(code, 1);
  });
});
