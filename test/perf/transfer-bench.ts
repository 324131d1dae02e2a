import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncoderStub, encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { property } from '#test/e2e/mesh.ts';
import type { Figure } from './figure.ts';
import { HIDDEN_SIZE, ITEM_BYTES, NUM_ROWS, type SenderPorts } from './transfer-shape.ts';

const NUM_ITEMS = 20;
const WARM_UP_ITEMS = 3;
const NUM_IDLE_CALLS = 500;

/**
 * Measures how fast embedding rows travel from one process to another, beside plain TCP, and how
 * long a small call between the same processes, such as a step's tokens, takes meanwhile.
 */
export async function benchTransfer(): Promise<Figure[]> {
  const sender = fork(join(import.meta.dirname, 'row-sender.ts'));
  const { grpc, tcp } = await portsOf(sender);
  const tensors = openChannel(`127.0.0.1:${grpc}`, 'tensors');
  const tokens = openChannel(`127.0.0.1:${grpc}`, 'tokens');
  try {
    const small = createMeshClient(encoderServiceDefinition, tokens);
    const encoder = createMeshClient(encoderServiceDefinition, tensors);
    const plain = await measureTransfer(sender, () => receiveTcp(tcp));
    const rows = await measureTransfer(sender, () => receiveRows(encoder));
    const alone = await callTimes(small, (times) => times.length >= NUM_IDLE_CALLS);
    let isDone = false;
    const transfers = measureTransfer(sender, () => receiveRows(encoder));
    const beside = callTimes(small, () => isDone);
    const limit = { name: 'plain TCP', share: rows.rate / plain.rate };
    const rate = (await transfers).rate;
    isDone = true;
    return [
      { name: 'plain TCP on loopback', value: plain.rate, unit: 'MB/s' },
      { name: 'embedding rows over gRPC', value: rows.rate, unit: 'MB/s', limit },
      { name: 'embedding rows: CPU of the receiver', value: rows.receiverMs, unit: 'ms/MB' },
      { name: 'embedding rows: CPU of the sender', value: rows.senderMs, unit: 'ms/MB' },
      { name: 'embedding rows beside small calls', value: rate, unit: 'MB/s' },
      ...latencyFigures('small call alone', alone),
      ...latencyFigures('small call beside embedding rows', await beside),
    ];
  } finally {
    tensors.close();
    tokens.close();
    sender.disconnect();
  }
}

function latencyFigures(name: string, times: readonly number[]): Figure[] {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN;
  return [
    { name: `${name}: median`, value: at(0.5), unit: 'ms' },
    { name: `${name}: 99th percentile`, value: at(0.99), unit: 'ms' },
  ];
}

/** Measures the milliseconds of calls, one after another. */
async function callTimes(
  client: EncoderStub,
  isEnough: (times: readonly number[]) => boolean,
): Promise<readonly number[]> {
  const times: number[] = [];
  while (!isEnough(times)) {
    const startedMs = performance.now();
    await client.getModel({});
    times.push(performance.now() - startedMs);
  }
  return times;
}

async function receiveRows(client: EncoderStub): Promise<void> {
  let numRows = 0;
  const item = { header: {}, content: new Uint8Array(1) };
  const options = { hiddenSize: HIDDEN_SIZE, signal: new AbortController().signal };
  for await (const event of encodeItem(client, item, options)) {
    if (event.kind === 'rows') numRows += event.rows.numRows;
  }
  assert.equal(numRows, NUM_ROWS);
}

async function receiveTcp(port: number): Promise<void> {
  let numBytes = 0;
  for await (const piece of createConnection(port, '127.0.0.1')) {
    if (piece instanceof Uint8Array) numBytes += piece.length;
  }
  assert.equal(numBytes, ITEM_BYTES);
}

interface Transfer {
  /** MB/s of the median item. */
  readonly rate: number;
  /**
   * CPU time of each side, milliseconds per megabyte: the figure that a busy machine changes least.
   */
  readonly receiverMs: number;
  readonly senderMs: number;
}

async function measureTransfer(
  sender: ChildProcess,
  transfer: () => Promise<void>,
): Promise<Transfer> {
  for (let i = 0; i < WARM_UP_ITEMS; i++) await transfer();
  const seconds: number[] = [];
  const before = { receiver: cpuMs(process.cpuUsage()), sender: await senderCpuMs(sender) };
  for (let i = 0; i < NUM_ITEMS; i++) {
    const startedMs = performance.now();
    await transfer();
    seconds.push((performance.now() - startedMs) / 1000);
  }
  const median = seconds.sort((a, b) => a - b)[NUM_ITEMS / 2] ?? Number.NaN;
  const megabytes = (NUM_ITEMS * ITEM_BYTES) / 1e6;
  return {
    rate: ITEM_BYTES / 1e6 / median,
    receiverMs: (cpuMs(process.cpuUsage()) - before.receiver) / megabytes,
    senderMs: ((await senderCpuMs(sender)) - before.sender) / megabytes,
  };
}

function cpuMs(usage: NodeJS.CpuUsage): number {
  return (usage.user + usage.system) / 1000;
}

async function senderCpuMs(sender: ChildProcess): Promise<number> {
  sender.send('cpu');
  const usage = await messageOf(sender);
  return cpuMs({
    user: Number(property(usage, 'user')),
    system: Number(property(usage, 'system')),
  });
}

async function portsOf(sender: ChildProcess): Promise<SenderPorts> {
  const message = await messageOf(sender);
  return { grpc: Number(property(message, 'grpc')), tcp: Number(property(message, 'tcp')) };
}

async function messageOf(sender: ChildProcess): Promise<unknown> {
  const [message]: unknown[] = await once(sender, 'message');
  return message;
}
