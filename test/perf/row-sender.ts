// Sends rows for `npm run bench -- encode`, as a process of its own: answers every Encode call and
// every TCP connection with the same rows, and tells its parent its ports and, when asked, its CPU
// time.
import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import { createServer } from 'nice-grpc';
import { rowsMessages } from '#encoder/encoder-rows.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import {
  EncodeDone,
  EncodePlan,
  type EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import { HIDDEN_SIZE, NUM_ROWS, type SenderPorts } from './transfer-shape.ts';

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
const ports: SenderPorts = { grpc: await server.listen('127.0.0.1:0'), tcp: address.port };
process.send?.(ports);
process.on('message', () => process.send?.(process.cpuUsage()));
process.on('disconnect', () => process.exit());
