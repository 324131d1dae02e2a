import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'nice-grpc';
import { pino } from 'pino';
import { type Backbone, startBackbone } from '#backbone/backbone.ts';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { backboneOptions } from '#backbone/options.ts';
import { MAX_CHUNK_BYTES } from '#mesh/encode/upload-limits.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { WIRE_MODALITIES } from '#mesh/modality.ts';
import { resolveOptions } from '#mesh/options.ts';
import { cpuFeatures, type Decoder } from '#native';
import {
  type GenerateRequest,
  GenerateStart,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { MediaItem } from '#protos/autoglm/llm/v1/prompt.ts';
import { readyEncoders } from '#test/ready-encoders.ts';
import type { Arithmetic } from './decoder-parity.ts';
import { type RunningEncoders, startEncoders } from './encoder-processes.ts';
import type { GoldenCase } from './golden-cases.ts';
import type { GoldenTensors } from './golden-tensors.ts';
import { exactRow, greedyRow, type ParityRow } from './report.ts';

interface Answer {
  readonly promptIds: readonly number[];
  readonly tokens: readonly number[];
}

/**
 * Tokens of a step, few enough that every prompt with media is prefilled in chunks, which cut its
 * items.
 */
const MAX_NUM_BATCHED_TOKENS = 32;

/**
 * Sends every case over gRPC to a real backbone with real encoders, twice: computed in chunks, and
 * from the prefix cache. Compares prompt ids and greedy tokens.
 */
export async function meshParity(
  directory: string,
  decoder: Decoder,
  cases: readonly GoldenCase[],
  golden: { readonly tensors: GoldenTensors | null; readonly arithmetic: Arithmetic },
): Promise<ParityRow[]> {
  const { modalities } = await readModelFiles(directory, undefined);
  const encoders = await startEncoders(directory, modalities, golden.arithmetic);
  const backbone = await startOver(directory, decoder, encoders);
  const channel = openChannel(backbone.address, 'tokens');
  try {
    await readyEncoders(channel, encoders.count);
    const client = createMeshClient(LlmBackboneServiceDefinition, channel);
    const rows: ParityRow[] = [];
    for (const item of cases) {
      const answer = await ask(client, directory, item);
      const name = `${golden.arithmetic.activationDtype} ${item.name}`;
      rows.push(exactRow(`${name}.ids`, answer.promptIds, promptIds(item, golden.tensors)));
      const again = await ask(client, directory, item);
      const { minMargin } = golden.arithmetic;
      const compare = (ours: readonly number[]) => ({ ours, reference: item.tokens });
      rows.push(greedyRow(`${name}.greedy`, compare(answer.tokens), item.margins, minMargin));
      rows.push(greedyRow(`${name}.cached`, compare(again.tokens), item.margins, minMargin));
    }
    return rows;
  } finally {
    channel.close();
    await backbone.drain(0);
    await encoders.close();
  }
}

async function startOver(
  directory: string,
  decoder: Decoder,
  { visionEncoder, speechEncoder }: RunningEncoders,
): Promise<Backbone> {
  const values = {
    model: directory,
    listen: '127.0.0.1:0',
    visionEncoder,
    speechEncoder,
    maxNumBatchedTokens: MAX_NUM_BATCHED_TOKENS,
    maxNumSeqs: MAX_NUM_BATCHED_TOKENS,
  };
  return startBackbone(
    resolveOptions(backboneOptions, values, {}),
    {
      executor: decoder,
      description: decoder.description,
      device: 'cpu',
      numRanks: 1,
      isa: cpuFeatures().isa,
      // The decoder stays open for the comparisons after this one.
      close: async () => {},
    },
    await readModelFiles(directory, undefined),
    pino({ level: 'warn' }),
  );
}

async function ask(
  client: Client<typeof LlmBackboneServiceDefinition>,
  directory: string,
  item: GoldenCase,
): Promise<Answer> {
  const answer: { promptIds: number[]; tokens: number[] } = { promptIds: [], tokens: [] };
  for await (const { event } of client.generate(requestsOf(directory, item))) {
    if (event?.$case === 'accepted') answer.promptIds.push(...event.value.promptTokenIds);
    if (event?.$case !== 'delta') continue;
    for (const choice of event.value.choices) answer.tokens.push(...choice.tokenIds);
  }
  // The reference's list does not contain the end id at which it stopped.
  return item.ignoresEnd ? answer : { ...answer, tokens: answer.tokens.slice(0, -1) };
}

/** Sends the start of a case, then the bytes of its media. */
async function* requestsOf(directory: string, item: GoldenCase): AsyncGenerator<GenerateRequest> {
  const paths = item.content.flatMap((part) => (part.type === 'text' ? [] : [part]));
  const files = await Promise.all(
    paths.map(async ({ type, path }) => ({ type, bytes: await readFile(join(directory, path)) })),
  );
  const media = files.map(({ type, bytes }) => ({
    modality: WIRE_MODALITIES[type],
    contentHash: createHash('sha256').update(bytes).digest(),
    sizeBytes: BigInt(bytes.length),
  }));
  yield { event: { $case: 'start', value: startOf(item, media) } };
  for (const [mediaIndex, { bytes }] of files.entries()) {
    for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES) {
      const data = bytes.subarray(at, at + MAX_CHUNK_BYTES);
      yield { event: { $case: 'mediaChunk', value: { mediaIndex, data } } };
    }
  }
}

function startOf(
  item: GoldenCase,
  media: readonly Parameters<typeof MediaItem.fromPartial>[0][],
): GenerateStart {
  let mediaIndex = 0;
  const parts = item.content.map((part) =>
    part.type === 'text'
      ? { part: { $case: 'text' as const, value: part.text } }
      : { part: { $case: 'mediaIndex' as const, value: mediaIndex++ } },
  );
  const messages = [{ role: 'user', content: { $case: 'parts' as const, value: { parts } } }];
  const { enableThinking } = item;
  const templateArgs = enableThinking === null ? {} : { enable_thinking: enableThinking };
  return GenerateStart.fromPartial({
    prompt: { form: { $case: 'chat', value: { messages, templateArgs } }, media: [...media] },
    sampling: {
      temperature: 0,
      ignoreEos: item.ignoresEnd,
      ...(item.ignoresEnd ? { maxTokens: item.tokens.length } : {}),
    },
    output: { returnPromptTokenIds: true },
  });
}

function promptIds(item: GoldenCase, tensors: GoldenTensors | null): ArrayLike<number> {
  if (item.promptIds !== null) return item.promptIds;
  if (tensors === null) throw new Error(`${item.name}: the golden files have no prompt ids`);
  return tensors.get(`${item.name}.ids`).values;
}
