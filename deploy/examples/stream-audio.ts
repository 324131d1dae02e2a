// Sends raw 16-bit mono PCM from standard input to a speech encoder while it is recorded, and prints
// the embedding rows that come back:
//   arecord -q -f S16_LE -r 16000 -c 1 -t raw -d 3 | node build/deploy/examples/stream-audio.js 127.0.0.1:8053
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';

const SAMPLE_RATE_HZ = 16_000;

const [address = '127.0.0.1:8053'] = process.argv.slice(2);

/** Yields standard input as it arrives. */
async function* recorded(): AsyncGenerator<Uint8Array> {
  for await (const piece of process.stdin) {
    if (piece instanceof Uint8Array) yield piece;
  }
}

const channel = openChannel(address, 'tensors');
const encoder = createMeshClient(encoderServiceDefinition, channel);
const { hiddenSize, modelId } = await encoder.getModel({});
const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort());

const recording = {
  header: { mediaType: `audio/L16;rate=${SAMPLE_RATE_HZ}` },
  content: recorded(),
};
for await (const event of encodeItem(encoder, recording, {
  hiddenSize,
  signal: interrupted.signal,
})) {
  switch (event.kind) {
    case 'plan':
      console.log(`${modelId}: ${event.plan.durationMs} ms give ${event.plan.numRows} rows`);
      break;
    case 'rows': {
      const { firstRow, numRows, dtype } = event.rows;
      console.log(
        `rows ${firstRow} to ${firstRow + numRows - 1}: ${dtype} [${numRows}, ${hiddenSize}]`,
      );
      break;
    }
    case 'device rows':
      throw new Error('rows came in memory of a GPU, of which this caller has named none');
    case 'done':
      console.log(`encoded in ${Number(event.done.encodeUs) / 1000} ms`);
  }
}
channel.close();
