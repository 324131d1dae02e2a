import assert from 'node:assert/strict';
import sharp from 'sharp';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type EncoderStub, encodeItem } from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { type DecodedItem, loadEncoder } from '#native';
import { startMesh } from '#test/e2e/mesh.ts';
import { PHONE_NANO, readMedia } from '#test/e2e/request/phone-cases.ts';
import { screenshot } from '#test/e2e/request/screenshot.ts';
import { plannedItem } from '#test/planned-item.ts';
import type { Figure } from './figure.ts';
import type { MachinePeak } from './machine-peak.ts';
import { speechFlops, VISION_FLOPS_PER_IMAGE } from './tower-flops.ts';

const SAMPLE_RATE_HZ = 16_000;
const WAV_HEADER_BYTES = 44;
const NUM_SCREENS = 8;
/** Recordings of phone-nano's evaluation set. */
const RECORDINGS = Array.from({ length: 24 }, (_, i) => `media/audio${39 + i}.wav`);
const BATCH_SIZE = 4;
const NUM_ROUNDS = 4;

/** One item: its file, its decoded form for the tower, and its amount. */
interface BenchItem {
  readonly file: Buffer;
  readonly decoded: DecodedItem;
  /** 1 for an image, seconds of a recording. */
  readonly amount: number;
  readonly flops: number;
}

interface Modality {
  readonly modality: 'image' | 'audio';
  readonly encoder: 'vision-encoder' | 'speech-encoder';
  readonly mediaType: string;
  readonly unit: string;
  readonly items: readonly BenchItem[];
}

/** Measures media per second through each encoder process of phone-nano, beside its tower alone. */
export async function benchEncoders(peak: MachinePeak): Promise<Figure[]> {
  const modalities: readonly Modality[] = [
    {
      modality: 'image',
      encoder: 'vision-encoder',
      mediaType: 'image/png',
      unit: 'images/s',
      items: await Promise.all(Array.from({ length: NUM_SCREENS }, (_, i) => screenItem(i))),
    },
    {
      modality: 'audio',
      encoder: 'speech-encoder',
      mediaType: 'audio/wav',
      unit: 's of audio/s',
      items: RECORDINGS.map(recordingItem),
    },
  ];
  const mesh = await startMesh({ encoders: ['encoder-cache-mb: 0'] });
  const served = [];
  try {
    for (const one of modalities) {
      const [address = ''] = mesh.encoderAddresses[one.encoder];
      served.push({ one, ...(await rateOfService(address, one)) });
    }
  } finally {
    await mesh.stop();
  }
  const figures: Figure[] = [];
  for (const { one, rate, device } of served) {
    const alone = await rateOfTower(device, one);
    const flops = total(one.items, 'flops') / total(one.items, 'amount');
    const share = (alone * flops) / (peak.bfloat16FlopsPerSecond || peak.flopsPerSecond);
    const name = `phone-nano on ${device}`;
    figures.push(
      {
        name: `${one.modality} tower alone, ${name}`,
        value: alone,
        unit: one.unit,
        limit: { name: 'products of all cores', share },
      },
      {
        name: `${one.encoder} over gRPC, ${name}`,
        value: rate,
        unit: one.unit,
        limit: { name: 'its tower alone', share: rate / alone },
      },
    );
  }
  return figures;
}

async function screenItem(seed: number): Promise<BenchItem> {
  const file = await screenshot(seed);
  const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
  const decoded = { kind: 'image', rgb: data, ...sizeOf(info) } as const;
  return { file, decoded, amount: 1, flops: VISION_FLOPS_PER_IMAGE };
}

function sizeOf({ width, height }: { readonly width: number; readonly height: number }) {
  return { width, height };
}

function recordingItem(path: string): BenchItem {
  const file = readMedia(path);
  const pcm = new Int16Array(new Uint8Array(file.subarray(WAV_HEADER_BYTES)).buffer);
  const samples = Float32Array.from(pcm, (sample) => sample / 32_768);
  const seconds = samples.length / SAMPLE_RATE_HZ;
  const decoded = { kind: 'audio', samples, sampleRateHz: SAMPLE_RATE_HZ } as const;
  return { file, decoded, amount: seconds, flops: speechFlops(seconds) };
}

function total(items: readonly BenchItem[], key: 'amount' | 'flops'): number {
  return items.reduce((sum, item) => sum + item[key], 0);
}

/** Measures the amount per second of all items, after a first pass that warms up. */
async function rateOf(
  items: readonly BenchItem[],
  encodeAll: () => Promise<void>,
): Promise<number> {
  await encodeAll();
  const startedMs = performance.now();
  for (let round = 0; round < NUM_ROUNDS; round++) await encodeAll();
  return (NUM_ROUNDS * total(items, 'amount')) / ((performance.now() - startedMs) / 1000);
}

async function rateOfService(
  address: string,
  { items, mediaType }: Modality,
): Promise<{ readonly rate: number; readonly device: string }> {
  const channel = openChannel(address, 'tensors');
  try {
    const client = createMeshClient(encoderServiceDefinition, channel);
    const { hiddenSize, device } = await client.getModel({});
    const encodeAll = async () => {
      const pending = items.values();
      // There are twice as many callers as items in a batch, so that the next batch is decoded
      // while one runs.
      const callers = Array.from({ length: 2 * BATCH_SIZE }, async () => {
        for (const { file } of pending) await encode(client, { file, mediaType, hiddenSize });
      });
      await Promise.all(callers);
    };
    return { rate: await rateOf(items, encodeAll), device };
  } finally {
    channel.close();
  }
}

interface Upload {
  readonly file: Buffer;
  readonly mediaType: string;
  readonly hiddenSize: number;
}

async function encode(client: EncoderStub, upload: Upload): Promise<void> {
  const { file, mediaType, hiddenSize } = upload;
  const item = { header: { mediaType }, content: file };
  const { signal } = new AbortController();
  let numRows = 0;
  for await (const event of encodeItem(client, item, { hiddenSize, signal })) {
    if (event.kind === 'rows') numRows += event.rows.numRows;
  }
  assert(numRows > 0);
}

async function rateOfTower(device: string, { modality, items }: Modality): Promise<number> {
  const options = {
    modelDirectory: PHONE_NANO,
    modality,
    device,
    weightDtype: 'auto',
    activationDtype: 'bfloat16',
  } as const;
  const tower = await loadEncoder(options);
  try {
    return await rateOf(items, async () => {
      for (let first = 0; first < items.length; first += BATCH_SIZE) {
        const batch = items.slice(first, first + BATCH_SIZE);
        const planned = batch.map(({ decoded }) => plannedItem(tower, decoded));
        await Promise.all(tower.encode(planned));
      }
    });
  } finally {
    await tower.close();
  }
}
