// How fast embedding rows travel from one process to another over gRPC on loopback, beside plain TCP:
//   node --conditions=source --import tsx test/perf/encode-transfer.ts
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, createServer as createTcpServer } from 'node:net';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { createServer } from 'nice-grpc';
import { encoderServiceDefinition } from '#mesh/encode-response-codec.ts';
import { encodeItem } from '#mesh/encoder-call.ts';
import { rowsMessages } from '#mesh/encoder-rows.ts';
import { createMeshClient, openChannel } from '#mesh/grpc-client.ts';
import {
  EncodeDone,
  EncodePlan,
  type EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';

/** The rows of a 1080×2400 screenshot in AutoGLM-Phone-9B: 3,354 of width 4,096, 52.4 MiB. */
const NUM_ROWS = 3354;
const HIDDEN_SIZE = 4096;
const ITEM_BYTES = NUM_ROWS * HIDDEN_SIZE * 4;
const NUM_ITEMS = 20;
const WARM_UP_ITEMS = 3;

interface Ports {
  readonly grpc: number;
  readonly tcp: number;
}

/** The sending process: answers every call, and every connection, with the same rows. */
async function serve(): Promise<void> {
  const rows = new Float32Array(NUM_ROWS * HIDDEN_SIZE).fill(0.5);
  const server = createServer();
  server.add(encoderServiceDefinition, {
    async *encode(): AsyncGenerator<EncodeResponse> {
      yield { event: { $case: 'plan', value: EncodePlan.create({ numRows: NUM_ROWS }) } };
      yield* rowsMessages(rows, { hiddenSize: HIDDEN_SIZE });
      yield { event: { $case: 'done', value: EncodeDone.create() } };
    },
    getModel: async () => GetModelResponse.create(),
  });
  const tcp = createTcpServer((socket) => socket.end(Buffer.from(rows.buffer)));
  await once(tcp.listen(0, '127.0.0.1'), 'listening');
  const address = tcp.address();
  if (typeof address !== 'object' || address === null) throw new Error('no TCP port');
  const ports: Ports = { grpc: await server.listen('127.0.0.1:0'), tcp: address.port };
  process.send?.(ports);
  process.on('message', () => process.send?.(process.cpuUsage()));
  process.on('disconnect', () => process.exit());
}

function overGrpc(port: number): () => Promise<void> {
  const channel = openChannel(`127.0.0.1:${port}`, 'tensors');
  const client = createMeshClient(encoderServiceDefinition, channel);
  const options = { hiddenSize: HIDDEN_SIZE, signal: new AbortController().signal };
  return async () => {
    let numRows = 0;
    const item = { header: {}, content: new Uint8Array(1) };
    for await (const event of encodeItem(client, item, options)) {
      if (event.kind === 'rows') numRows += event.rows.numRows;
    }
    if (numRows !== NUM_ROWS) throw new Error(`${numRows} rows came`);
  };
}

async function overTcp(port: number): Promise<void> {
  let numBytes = 0;
  for await (const piece of createConnection(port, '127.0.0.1')) {
    if (piece instanceof Uint8Array) numBytes += piece.length;
  }
  if (numBytes !== ITEM_BYTES) throw new Error(`${numBytes} bytes came`);
}

interface Transfer {
  /** MB/s of the median item. */
  readonly rate: number;
  /** CPU time of each side, milliseconds a megabyte: what a busy machine does not change. */
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
    const started = performance.now();
    await transfer();
    seconds.push((performance.now() - started) / 1000);
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
  const answered = once(sender, 'message');
  sender.send('cpu');
  const [message]: unknown[] = await answered;
  const isUsage =
    typeof message === 'object' && message !== null && 'user' in message && 'system' in message;
  if (!isUsage) throw new Error('the sender said something else than its CPU time');
  return cpuMs({ user: Number(message.user), system: Number(message.system) });
}

async function ports(sender: ChildProcess): Promise<Ports> {
  const [message]: unknown[] = await once(sender, 'message');
  const isPorts =
    typeof message === 'object' && message !== null && 'grpc' in message && 'tcp' in message;
  if (!isPorts) throw new Error('the sender said something else than its ports');
  return { grpc: Number(message.grpc), tcp: Number(message.tcp) };
}

async function measure(): Promise<void> {
  const sender = fork(fileURLToPath(import.meta.url), ['serve']);
  try {
    const { grpc, tcp } = await ports(sender);
    const measured = {
      'embedding rows over gRPC': await measureTransfer(sender, overGrpc(grpc)),
      'plain TCP': await measureTransfer(sender, () => overTcp(tcp)),
    };
    console.log(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.versions.node}`);
    for (const [name, { rate, receiverMs, senderMs }] of Object.entries(measured)) {
      const cpu = `${receiverMs.toFixed(2)} ms/MB receiving, ${senderMs.toFixed(2)} ms/MB sending`;
      console.log(`${name.padEnd(24)}  ${rate.toFixed(0)} MB/s, CPU ${cpu}`);
    }
  } finally {
    sender.disconnect();
  }
}

await (process.argv[2] === 'serve' ? serve() : measure());
