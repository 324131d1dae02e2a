// Starts a real encoder process over loopback gRPC, with a fake tower behind it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import sharp from 'sharp';
import type { EncoderProcessOptions } from '#encoder/encoder-options.ts';
import { type EncoderProcess, startEncoderProcess } from '#encoder/encoder-process.ts';
import type { EncoderEngine, EncoderRole } from '#encoder/served-tower.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import {
  type EncodeEvent,
  type EncoderStub,
  encodeItem,
  type OutgoingItem,
  type ReceivedRows,
  type SharedRowsReader,
} from '#mesh/encode/encoder-call.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import type { Log } from '#mesh/log/log.ts';
import { resolveOptions } from '#mesh/options.ts';
import { speechEncoderOptions } from '#speech/options.ts';
import { speechRole } from '#speech/role.ts';
import { within } from '#test/bounded.ts';
import { FakeEncoder, HIDDEN_SIZE } from '#test/unit/encoder/doubles.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import { visionRole } from '#vision/role.ts';

const present = new AbortController().signal;

export interface Overrides {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly load?: EncoderEngine['load'];
  readonly clock?: Clock;
  readonly log?: Log;
  readonly sharing?: EncoderEngine['sharing'];
  /** "" on a GPU. */
  readonly isa?: string;
}

/** A running encoder, its tower and a client of it. */
export interface RunningEncoder {
  readonly process: EncoderProcess;
  readonly tower: FakeEncoder;
  readonly client: EncoderStub;
  /** Encodes an item and collects the answer. */
  encode(item: OutgoingItem, signal?: AbortSignal, sharing?: SharedRowsReader): Promise<Answer>;
}

/** All events of one call. */
export interface Answer {
  readonly events: readonly EncodeEvent[];
  readonly numRows: number;
  readonly cacheHit: boolean;
  readonly contentHash: Buffer;
  readonly durationMs: number;
  readonly rows: readonly ReceivedRows[];
  /** First value of each rows message. */
  readonly values: readonly number[];
}

/**
 * Makes a model directory with a tower for each modality, as small as possible; it is removed after
 * the test.
 */
export async function modelDirectory(test: TestContext, config: object = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'encoder-model-'));
  test.after(() => rm(directory, { recursive: true }));
  const full = {
    text_config: { hidden_size: HIDDEN_SIZE },
    vision_config: {},
    audio_config: {},
    ...config,
  };
  await writeFile(join(directory, 'config.json'), JSON.stringify(full));
  const header = Buffer.from('{}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await writeFile(join(directory, 'model.safetensors'), Buffer.concat([length, header]));
  return directory;
}

async function valuesOf(test: TestContext) {
  const model = await modelDirectory(test);
  return { model, listen: '127.0.0.1:0', device: 'cpu', batchWindowMs: 0 };
}

export async function startVision(test: TestContext, overrides: Overrides = {}) {
  const values = await valuesOf(test);
  const options = resolveOptions(visionEncoderOptions, { ...values, ...overrides.options }, {});
  return start(test, visionRole(options), { ...overrides, resolved: options });
}

export async function startSpeech(test: TestContext, overrides: Overrides = {}) {
  const values = await valuesOf(test);
  const options = resolveOptions(speechEncoderOptions, { ...values, ...overrides.options }, {});
  return start(test, speechRole(options), { ...overrides, resolved: options });
}

async function start(
  test: TestContext,
  role: EncoderRole,
  {
    resolved,
    load,
    clock,
    sharing,
    isa = 'reference',
    log = pino({ level: 'silent' }),
  }: Overrides & { readonly resolved: EncoderProcessOptions },
): Promise<RunningEncoder> {
  const tower = new FakeEncoder(role.modality);
  tower.isSharing = sharing !== undefined;
  const fake = { load: async () => tower, device: 'cpu:0', isa };
  const engine = { ...fake, ...(load !== undefined && { load }), sharing };
  const process = await startEncoderProcess(role, resolved, {
    engine,
    log,
    ...(clock === undefined ? {} : { clock }),
  });
  // Tests must not see the events of the warm-up.
  tower.trace.length = 0;
  const channel = openChannel(process.address, 'tensors');
  const client = createMeshClient(encoderServiceDefinition, channel);
  test.after(async () => {
    channel.close();
    await process.drain(0);
  });
  const { hiddenSize } = await client.getModel({});
  const encode: RunningEncoder['encode'] = (item, signal = present, sharing = undefined) =>
    within(gather(client, item, { hiddenSize, signal, sharing }), {
      what: 'the end of an answer; the tower did this',
      trace: () => tower.trace,
    });
  return { process, tower, client, encode };
}

async function gather(
  client: EncoderStub,
  item: OutgoingItem,
  options: Parameters<typeof encodeItem>[2],
): Promise<Answer> {
  const events: EncodeEvent[] = [];
  for await (const event of encodeItem(client, item, options)) events.push(event);
  const plan = events.find((event) => event.kind === 'plan')?.plan;
  const rows = events.flatMap((event) => (event.kind === 'rows' ? [event.rows] : []));
  return {
    events,
    numRows: rows.reduce((sum, { numRows }) => sum + numRows, 0),
    cacheHit: plan?.cacheHit ?? false,
    contentHash: plan?.contentHash ?? Buffer.alloc(0),
    durationMs: plan?.durationMs ?? 0,
    rows,
    values: rows.map(({ data }) => data.readFloatLE(0)),
  };
}

/** Makes a PNG of one gray value, with which the fake tower fills its rows. */
export function pngOf(
  gray: number,
  size: { readonly width: number; readonly height: number } = { width: 16, height: 16 },
): Promise<Buffer> {
  const background = { r: gray, g: gray, b: gray };
  return sharp({ create: { ...size, channels: 3, background } })
    .png()
    .toBuffer();
}

/** Resolves at the first event of a kind. */
export async function firstOf(
  events: AsyncIterator<EncodeEvent>,
  kind: EncodeEvent['kind'],
): Promise<EncodeEvent> {
  for (;;) {
    const next = await events.next();
    if (next.done === true) throw new Error(`the call ended before "${kind}"`);
    if (next.value.kind === kind) return next.value;
  }
}

/** Content whose bytes are sent when a test says so. */
export class HeldContent implements AsyncIterable<Uint8Array> {
  readonly #pieces: Uint8Array[] = [];
  #isEnded = false;
  #wake = () => {};

  push(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      yield* this.#pieces.splice(0);
      if (this.#isEnded) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
