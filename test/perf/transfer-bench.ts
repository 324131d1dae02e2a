import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { RowReader } from '#backbone/media/row-reader.ts';
import { codePath } from '#deploy/local/code-path.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncoderStub, encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { property } from '#test/e2e/mesh.ts';
import type { Figure } from './figure.ts';
import { HIDDEN_SIZE, ITEM_BYTES, NUM_ROWS, PLACED, type SenderPorts } from './transfer-shape.ts';

const NUM_ITEMS = 20;
const WARM_UP_ITEMS = 3;
const NUM_IDLE_CALLS = 500;
const CACHE_LINE_BYTES = 64;

/** Rate at which shared rows are to leave small calls alone, MB/s. */
const SHARED_RATE = 3000;
const NUM_PACED_ITEMS = 80;

/**
 * Measures how fast embedding rows travel from one process to another, in messages and by shared
 * memory, beside plain TCP, and how long a small call between the same processes, such as a step's tokens, takes meanwhile.
 */
export async function benchTransfer(): Promise<Figure[]> {
  const sender = fork(codePath('test/perf/row-sender'));
  const { grpc, tcp } = await portsOf(sender);
  const tensors = openChannel(`127.0.0.1:${grpc}`, 'tensors');
  const tokens = openChannel(`127.0.0.1:${grpc}`, 'tokens');
  try {
    const small = createMeshClient(encoderServiceDefinition, tokens);
    const encoder = createMeshClient(encoderServiceDefinition, tensors);
    const plain = await measureTransfer(sender, () => receiveTcp(tcp));
    const rows = await measureTransfer(sender, () => receiveRows(encoder));
    const reader = await readerOf(encoder);
    const shared = await measureTransfer(sender, () => receiveRows(encoder, { reader }));
    const reading = await measureTransfer(sender, () =>
      receiveRows(encoder, { reader, isReading: true }),
    );
    const placed = await measureTransfer(sender, () =>
      receiveRows(encoder, { reader, mediaType: PLACED }),
    );
    const alone = await callTimes(small, (times) => times.length >= NUM_IDLE_CALLS);
    const beside = await besideCalls(small, async () => {
      const { rate } = await measureTransfer(sender, () => receiveRows(encoder));
      return rate;
    });
    const besideShared = await besideCalls(small, () =>
      pacedRate(() => receiveRows(encoder, { reader })),
    );
    const limit = { name: 'plain TCP', share: rows.rate / plain.rate };
    return [
      { name: 'plain TCP on loopback', value: plain.rate, unit: 'MB/s' },
      { name: 'embedding rows over gRPC', value: rows.rate, unit: 'MB/s', limit },
      { name: 'embedding rows: CPU of the receiver', value: rows.receiverMs, unit: 'ms/MB' },
      { name: 'embedding rows: CPU of the sender', value: rows.senderMs, unit: 'ms/MB' },
      { name: 'embedding rows by shared memory', value: shared.rate, unit: 'MB/s' },
      { name: 'the same, read once by this thread', value: reading.rate, unit: 'MB/s' },
      { name: 'the same, put there first', value: placed.rate, unit: 'MB/s' },
      { name: 'shared rows: CPU of the receiver', value: shared.receiverMs, unit: 'ms/MB' },
      { name: 'shared rows: CPU of the sender', value: shared.senderMs, unit: 'ms/MB' },
      { name: 'embedding rows beside small calls', value: beside.rate, unit: 'MB/s' },
      {
        name: `shared rows beside small calls, ${SHARED_RATE} asked`,
        value: besideShared.rate,
        unit: 'MB/s',
      },
      ...latencyFigures('small call alone', alone),
      ...latencyFigures('small call beside embedding rows', beside.times),
      ...latencyFigures('small call beside shared rows', besideShared.times),
    ];
  } finally {
    tensors.close();
    tokens.close();
    sender.disconnect();
  }
}

/** Transfers items one after another, none before its time at `SHARED_RATE`; returns MB/s. */
async function pacedRate(transfer: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  for (let i = 0; i < NUM_PACED_ITEMS; i++) {
    const dueMs = startedMs + (i * ITEM_BYTES) / 1e3 / SHARED_RATE;
    await setTimeout(Math.max(0, dueMs - performance.now()));
    await transfer();
  }
  return (NUM_PACED_ITEMS * ITEM_BYTES) / 1e3 / (performance.now() - startedMs);
}

/** Makes small calls while rows are transferred at some rate, MB/s. */
async function besideCalls(
  small: EncoderStub,
  transfer: () => Promise<number>,
): Promise<{ readonly rate: number; readonly times: readonly number[] }> {
  let isDone = false;
  const times = callTimes(small, () => isDone);
  const rate = await transfer();
  isDone = true;
  return { rate, times: await times };
}

async function readerOf(client: EncoderStub): Promise<RowReader> {
  const { sharedMemory } = await client.getModel({});
  assert.ok(sharedMemory !== undefined, 'the sender shares rows');
  return new RowReader(sharedMemory);
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

interface Receiving {
  /** Reads rows out of shared memory; without it they come in messages. */
  readonly reader?: RowReader;
  readonly mediaType?: string;
  /** Whether the rows, which have to be shared, are read on this thread. */
  readonly isReading?: boolean;
}

async function receiveRows(
  client: EncoderStub,
  { reader: sharing, mediaType = '', isReading = false }: Receiving = {},
): Promise<void> {
  let numRows = 0;
  const item = { header: { mediaType }, content: new Uint8Array(1) };
  const options = { hiddenSize: HIDDEN_SIZE, signal: new AbortController().signal, sharing };
  for await (const event of encodeItem(client, item, options)) {
    if (event.kind !== 'rows') continue;
    numRows += event.rows.numRows;
    assert.equal(event.rows.transport, sharing === undefined ? 'message' : 'shared_memory');
    if (!isReading) continue;
    assert.equal(sumOfLines(event.rows.data), 0.5 * (ITEM_BYTES / CACHE_LINE_BYTES));
  }
  assert.equal(numRows, NUM_ROWS);
}

/** Reads the first value of every cache line. */
function sumOfLines({ buffer, byteOffset, byteLength }: Buffer): number {
  const values = new Float32Array(buffer, byteOffset, byteLength / 4);
  let sum = 0;
  for (let i = 0; i < values.length; i += CACHE_LINE_BYTES / 4) sum += values[i] ?? Number.NaN;
  return sum;
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
