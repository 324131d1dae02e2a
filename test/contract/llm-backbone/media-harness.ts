import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { BackboneOptions } from '#backbone/options.ts';
import { fingerprint } from '#mesh/model/fingerprint.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { readyEncoders } from '#test/ready-encoders.ts';
import { ids } from '#test/unit/llm-backbone/engine/scheduling.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';
import { type Collected, collect } from '#test/unit/llm-backbone/test-engine.ts';
import { chunksOf, FakeEncoder, mediaOf } from './fake-encoder.ts';
import { MODEL, messages, startOf, startTestBackbone, type TestBackbone } from './harness.ts';

/** Placeholder tokens of the test model. */
export const [IMAGE, AUDIO] = [1481, 1485];

/**
 * Makes the test model with towers for both modalities in its configuration; it is removed after
 * the test.
 */
export function modelWithTowers(test: TestContext, config: object = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'backbone-model-'));
  test.after(() => rmSync(directory, { recursive: true }));
  cpSync(MODEL, directory, { recursive: true });
  const path = join(directory, 'config.json');
  const towers = {
    vision_config: {},
    audio_config: {},
    image_token_id: IMAGE,
    audio_token_id: AUDIO,
  };
  const own: unknown = JSON.parse(readFileSync(path, 'utf8'));
  writeFileSync(path, JSON.stringify({ ...Object(own), ...towers, ...config }));
  return directory;
}

/** A backbone, its decoder and the encoders that it may ask. */
export interface MediaBackbone extends TestBackbone {
  readonly vision: readonly FakeEncoder[];
  readonly speech: readonly FakeEncoder[];
  readonly model: string;
  /** Sends a prompt of token ids with these items and reads the answer. */
  ask(
    prompt: readonly number[],
    contents: readonly string[],
    options?: AskOptions,
  ): Promise<Collected>;
  /** Returns the sum of a metric's samples that have these labels. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

export interface AskOptions {
  readonly changes?: Parameters<typeof startOf>[0];
  readonly modality?: Modality;
  readonly signal?: AbortSignal;
}

export interface MediaShape {
  readonly numVision?: number;
  readonly numSpeech?: number;
  readonly options?: Partial<BackboneOptions>;
  readonly decoder?: FakeDecoder;
  /** Changes the encoders before the backbone sees them. */
  readonly prepare?: (encoders: readonly FakeEncoder[]) => void;
  /** Number of encoders that become ready. */
  readonly numReady?: number;
}

/** Starts encoders and a backbone in front of them; all end with the test. */
export async function startMedia(
  test: TestContext,
  shape: MediaShape = {},
): Promise<MediaBackbone> {
  const { numVision = 1, numSpeech = 0, options = {}, decoder = new FakeDecoder() } = shape;
  const model = modelWithTowers(test);
  const weights = await fingerprint(model);
  const fakes = (count: number) => ids(0, count).map(() => new FakeEncoder());
  const [vision, speech] = [fakes(numVision), fakes(numSpeech)];
  shape.prepare?.([...vision, ...speech]);
  await Promise.all(vision.map((encoder) => encoder.start(weights)));
  await Promise.all(
    speech.map((encoder) => encoder.start(weights, { modality: Modality.MODALITY_AUDIO })),
  );
  const backbone = await startTestBackbone(decoder, {
    model,
    visionEncoder: vision.map(({ address }) => address),
    speechEncoder: speech.map(({ address }) => address),
    ...options,
  });
  test.after(async () => {
    await backbone.close();
    await Promise.all([...vision, ...speech].map((encoder) => encoder.stop()));
  });
  await readyEncoders(backbone.channel, shape.numReady ?? numVision + numSpeech);
  return {
    ...backbone,
    vision,
    speech,
    model,
    ask: (prompt, contents, ask) => send(backbone, { prompt, contents, ...ask }),
    metric: (name, labels = {}) => sumOf(backbone, name, labels),
  };
}

function send(
  { client }: TestBackbone,
  request: AskOptions & {
    readonly prompt: readonly number[];
    readonly contents: readonly string[];
  },
): Promise<Collected> {
  const { prompt, contents, changes, modality, signal } = request;
  const value = startOf({
    prompt: {
      form: { $case: 'tokens', value: { tokenIds: [...prompt] } },
      media: contents.map((content) => mediaOf(content, modality)),
    },
    ...changes,
  });
  const sent = messages({ $case: 'start', value }, ...chunksOf(contents));
  return collect(client.generate(sent, signal === undefined ? {} : { signal }));
}

async function sumOf(
  { instance }: TestBackbone,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  const { families } = await instance.getMetrics({});
  const samples = families.find((family) => family.name === name)?.samples ?? [];
  return samples
    .filter((sample) =>
      Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    .reduce((sum, { value }) => sum + value, 0);
}
