// Sends rows for `npm run bench -- encode`, as a process of its own: answers every Encode call and
// every TCP connection with the same rows, and tells its parent its ports and, when asked, its CPU
// time. Callers with the secret find the rows in shared memory; for an item of the type `PLACED` they
// are put there first.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTcpServer } from 'node:net';
import { createServer } from 'nice-grpc';
import { rowsMessages, sharedRowsMessage } from '#encoder/encoder-rows.ts';
import { awaitAnswer, readHeader } from '#encoder/item-upload.ts';
import { RowSharing } from '#encoder/row-sharing.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { limitSharing, shareBytes } from '#native';
import {
  EncodeDone,
  EncodePlan,
  type EncodeRequest,
  type EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import { HIDDEN_SIZE, ITEM_BYTES, NUM_ROWS, PLACED, type SenderPorts } from './transfer-shape.ts';

const rows = new Float32Array(NUM_ROWS * HIDDEN_SIZE).fill(0.5);
const place = () => shareBytes(new Uint8Array(rows.buffer));
// The garbage collector frees placed rows when it likes.
limitSharing(64 * ITEM_BYTES);
const sharing = new RowSharing();
const placed = place();

const server = createServer();
server.add(encoderServiceDefinition, {
  async *encode(
    requests: AsyncIterable<EncodeRequest>,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<EncodeResponse> {
    const upload = requests[Symbol.asyncIterator]();
    const header = await readHeader(upload);
    yield { event: { $case: 'plan', value: EncodePlan.create({ numRows: NUM_ROWS }) } };
    if (sharing.isReachedBy(header)) {
      const { bytes, shared } = header.mediaType === PLACED ? place() : placed;
      yield sharedRowsMessage(sharing.memoryOf(shared, ITEM_BYTES), [NUM_ROWS, HIDDEN_SIZE]);
      await awaitAnswer(upload, signal);
      // What is used here has been kept until here.
      assert.equal(bytes.length, ITEM_BYTES);
    } else yield* rowsMessages(rows, { hiddenSize: HIDDEN_SIZE });
    yield { event: { $case: 'done', value: EncodeDone.create() } };
  },
  getModel: async () => GetModelResponse.create({ sharedMemory: sharing.secretMemory }),
});
const tcp = createTcpServer((socket) => socket.end(Buffer.from(rows.buffer)));
await once(tcp.listen(0, '127.0.0.1'), 'listening');
const address = tcp.address();
if (typeof address !== 'object' || address === null) throw new Error('no TCP port');
const ports: SenderPorts = { grpc: await server.listen('127.0.0.1:0'), tcp: address.port };
process.send?.(ports);
process.on('message', () => process.send?.(process.cpuUsage()));
process.on('disconnect', () => process.exit());
