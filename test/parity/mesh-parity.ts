import { pino } from 'pino';
import { type Backbone, startBackbone } from '#backbone/backbone.ts';
import { readModelFiles } from '#backbone/model-files.ts';
import { backboneOptions } from '#backbone/options.ts';
import { createMeshClient, openChannel } from '#mesh/grpc-client.ts';
import { resolveOptions } from '#mesh/options.ts';
import { cpuFeatures, type Decoder } from '#native';
import {
  GenerateStart,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Arithmetic } from './decoder-parity.ts';
import type { GoldenCase } from './golden-cases.ts';
import type { GoldenTensors } from './golden-tensors.ts';
import { exactRow, greedyRow, type ParityRow } from './report.ts';

interface Answer {
  readonly promptIds: readonly number[];
  readonly tokens: readonly number[];
}

/** Asks a real backbone every case over gRPC and compares prompt ids and greedy tokens. */
export async function meshParity(
  directory: string,
  decoder: Decoder,
  cases: readonly GoldenCase[],
  golden: { readonly tensors: GoldenTensors | null; readonly arithmetic: Arithmetic },
): Promise<ParityRow[]> {
  const backbone = await start(directory, decoder);
  try {
    const rows: ParityRow[] = [];
    for (const item of cases) {
      const answer = await ask(backbone, item);
      const name = `${golden.arithmetic.activationDtype} ${item.name}`;
      rows.push(exactRow(`${name}.ids`, answer.promptIds, promptIds(item, golden.tensors)));
      const tokens = { ours: answer.tokens, reference: item.tokens };
      rows.push(greedyRow(`${name}.greedy`, tokens, item.margins, golden.arithmetic.minMargin));
    }
    return rows;
  } finally {
    await backbone.drain(0);
  }
}

async function start(directory: string, decoder: Decoder): Promise<Backbone> {
  const values = { model: directory, listen: '127.0.0.1:0' };
  return startBackbone(
    resolveOptions(backboneOptions, values, {}),
    { executor: decoder, description: decoder.description, device: 'cpu', isa: cpuFeatures().isa },
    await readModelFiles(directory, undefined),
    pino({ level: 'warn' }),
  );
}

async function ask(backbone: Backbone, item: GoldenCase): Promise<Answer> {
  const channel = openChannel(backbone.address, 'tokens');
  try {
    const client = createMeshClient(LlmBackboneServiceDefinition, channel);
    const requests = [{ event: { $case: 'start' as const, value: generateStart(item) } }];
    const answer: { promptIds: number[]; tokens: number[] } = { promptIds: [], tokens: [] };
    for await (const { event } of client.generate(iterate(requests))) {
      if (event?.$case === 'accepted') answer.promptIds.push(...event.value.promptTokenIds);
      if (event?.$case !== 'delta') continue;
      for (const choice of event.value.choices) answer.tokens.push(...choice.tokenIds);
    }
    // The reference's list ends before the end id it stopped at.
    return item.ignoresEnd ? answer : { ...answer, tokens: answer.tokens.slice(0, -1) };
  } finally {
    channel.close();
  }
}

function generateStart(item: GoldenCase): GenerateStart {
  const parts = item.content.map((part) => {
    if (part.type !== 'text') throw new Error(`${item.name}: ${part.type} needs an encoder`);
    return { part: { $case: 'text' as const, value: part.text } };
  });
  return GenerateStart.fromPartial({
    prompt: {
      form: {
        $case: 'chat',
        value: {
          messages: [{ role: 'user', content: { $case: 'parts', value: { parts } } }],
          templateArgs:
            item.enableThinking === null ? {} : { enable_thinking: item.enableThinking },
        },
      },
    },
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

async function* iterate<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
