// Asks a backbone directly over gRPC and prints the answer as it comes:
//   node build/deploy/examples/generate.js 127.0.0.1:8051 "你是谁?"
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import {
  type GenerateRequest,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

type Request = Parameters<typeof GenerateRequest.fromPartial>[0];

const [address = '127.0.0.1:8051', question = '你是谁?'] = process.argv.slice(2);

/** Yields the request stream: one start; the return ends the stream. */
async function* requests(): AsyncGenerator<Request> {
  const message = { role: 'user', content: { $case: 'text', value: question } } as const;
  yield {
    event: {
      $case: 'start',
      value: {
        prompt: { form: { $case: 'chat', value: { messages: [message] } } },
        sampling: { temperature: 0, maxTokens: 256 },
      },
    },
  };
}

const channel = openChannel(address, 'tokens');
const backbone = createMeshClient(LlmBackboneServiceDefinition, channel);
for await (const { event } of backbone.generate(requests())) {
  if (event?.$case === 'delta') {
    for (const choice of event.value.choices) process.stdout.write(choice.text);
  }
  if (event?.$case === 'finished') {
    const { numPromptTokens, numCompletionTokens } = event.value;
    process.stdout.write(
      `\n(${numPromptTokens} prompt and ${numCompletionTokens} completion tokens)\n`,
    );
  }
}
channel.close();
