import { join } from 'node:path';
import { pino } from 'pino';
import { startBackbone } from '#backbone/backbone.ts';
import { type ModelFiles, readModelFiles } from '#backbone/checkpoint/model-files.ts';
import type { LoadedDecoder } from '#backbone/load-decoder.ts';
import { type BackboneOptions, backboneOptions } from '#backbone/options.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import type { Log } from '#mesh/log/log.ts';
import { resolveOptions } from '#mesh/options.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import {
  type GenerateRequest,
  type GenerateStart,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';
import { HealthDefinition } from '#protos/grpc/health/v1/health.ts';
import { FakeDecoder } from '#test/unit/llm-backbone/fake-decoder.ts';

/** Model directory of the tests; a fake decoder stands for its weights. */
export const MODEL = join(PACKAGE_ROOT, 'test', 'testdata', 'glm4-tiny');

/** Makes the decoder of a test's backbone. */
type MakeDecoder = (options: BackboneOptions, files: ModelFiles) => Promise<LoadedDecoder>;

/** Starts a backbone on a free port over a fake decoder, and clients for it. */
export async function startTestBackbone(
  decoder = new FakeDecoder(),
  values: Partial<BackboneOptions> = {},
  log: Log = pino({ level: 'silent' }),
) {
  return { ...(await startBackboneOver(async () => decoder.loaded, values, log)), decoder };
}

/** Starts a backbone on a free port over a decoder, and clients for it. */
export async function startBackboneOver(
  makeDecoder: MakeDecoder,
  values: Partial<BackboneOptions>,
  log: Log,
) {
  const options = resolveOptions(backboneOptions, {
    model: MODEL,
    servedModelName: ['tiny', 'other'],
    listen: '127.0.0.1:0',
    ...values,
  });
  const files = await readModelFiles(options.model, options.chatTemplate);
  const backbone = await startBackbone(options, await makeDecoder(options, files), files, log);
  const channel = openChannel(backbone.address, 'tokens');
  return {
    backbone,
    channel,
    client: createMeshClient(LlmBackboneServiceDefinition, channel),
    health: createMeshClient(HealthDefinition, channel),
    instance: createMeshClient(InstanceServiceDefinition, channel),
    close: async () => {
      channel.close();
      await backbone.drain(0);
    },
  };
}

export type TestBackbone = Awaited<ReturnType<typeof startTestBackbone>>;

type Start = Parameters<typeof GenerateStart.fromPartial>[0];

/** Makes a start with a prompt of token ids: greedy, twelve tokens. */
export function startOf(changes: Start = {}): Start {
  return {
    prompt: { form: { $case: 'tokens', value: { tokenIds: [5, 6, 7] } } },
    ...changes,
    sampling: { temperature: 0, maxTokens: 12, ...changes.sampling },
  };
}

export function chatOf(text: string): Start['prompt'] {
  const message = { role: 'user', content: { $case: 'text' as const, value: text } };
  return { form: { $case: 'chat', value: { messages: [message] } } };
}

/** Makes a conversation of this many short messages. */
export function conversationOf(numMessages: number): Start['prompt'] {
  const message = { role: 'user', content: { $case: 'text' as const, value: 'hi' } };
  return { form: { $case: 'chat', value: { messages: Array(numMessages).fill(message) } } };
}

type Requests = AsyncIterable<Parameters<typeof GenerateRequest.fromPartial>[0]>;

/** Makes the request stream of one start. */
export async function* requestsOf(start: Start): Requests {
  yield { event: { $case: 'start', value: start } };
}

/** Makes a stream of these messages. */
export async function* messages(
  ...events: NonNullable<Parameters<typeof GenerateRequest.fromPartial>[0]['event']>[]
): Requests {
  for (const event of events) yield { event };
}
