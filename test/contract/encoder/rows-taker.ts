// A caller as a process of its own: maps an item's rows at an encoder and never half-closes, so that
// the encoder keeps them for it. Tells its parent when it has them.

import { RowReader } from '#backbone/media/row-reader.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { EncodeHeader, type EncodeRequest } from '#protos/autoglm/encoder/v1/encoder.ts';
import { pngOf } from './harness.ts';

const [address = ''] = process.argv.slice(2);
const client = createMeshClient(encoderServiceDefinition, openChannel(address, 'tensors'));
const { sharedMemory } = await client.getModel({});
if (sharedMemory === undefined) throw new Error('the encoder shares nothing');
const { secret } = new RowReader(sharedMemory);

async function* requests(): AsyncGenerator<EncodeRequest> {
  const header = EncodeHeader.fromPartial({ sharedMemorySecret: secret });
  yield { event: { $case: 'header', value: header } };
  yield { event: { $case: 'chunk', value: await pngOf(1) } };
  yield { event: { $case: 'contentEnd', value: {} } };
  await new Promise(() => {});
}

for await (const { event } of client.encode(requests())) {
  if (event?.$case === 'sharedRows') process.send?.('has rows');
}
