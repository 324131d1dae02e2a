import { createInterface } from 'node:readline';
import { Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { helpText, parseFlags, resolveOptions } from '#mesh/options.ts';
import { SAMPLING_FIELDS } from '#mesh/sampling-fields.ts';
import { type ChatTurn, streamChat } from './chat-client.ts';
import type { Command } from './command.ts';

const chatOptions = Type.Object(
  {
    url: Type.String({
      description: 'Where the gateway listens',
      default: 'http://127.0.0.1:8000',
    }),
    model: Type.Optional(Type.String({ description: "Model name; unset: the mesh's first" })),
    system: Type.Optional(Type.String({ description: 'System message' })),
    temperature: Type.Optional(
      Type.Number({
        description: `${SAMPLING_FIELDS.temperature.help}; at most ${SAMPLING_FIELDS.temperature.max}`,
        minimum: SAMPLING_FIELDS.temperature.min,
      }),
    ),
    maxTokens: Type.Optional(
      Type.Integer({ description: 'Longest answer, tokens; unset: the context', minimum: 1 }),
    ),
    apiKey: Type.Optional(
      Type.String({ description: 'Key of the mesh', env: 'AUTOGLM_API_KEY', minLength: 1 }),
    ),
  },
  { additionalProperties: false },
);

/** `autoglm chat`: a terminal chat against a running mesh. */
export const chat: Command = {
  name: 'chat',
  summary: 'chat with a running mesh in the terminal',
  help: () =>
    `Usage: autoglm chat [options]\n\nEach line is a message; /reset forgets the conversation, /exit ends. Ctrl-C breaks off an answer.\n\nOptions [default]:\n${helpText(chatOptions)}\n`,
  run: async (args) => {
    const options = resolveOptions(chatOptions, parseFlags(chatOptions, args));
    const { url, apiKey, system, model, temperature, maxTokens } = options;
    const fields = { model, temperature, max_tokens: maxTokens };
    return converse(new Conversation(system), (messages, signal) =>
      streamChat(messages, { url: url.replace(/\/(v1\/?)?$/, ''), apiKey, fields, signal }),
    );
  },
};

type Ask = (messages: readonly ChatTurn[], signal: AbortSignal) => AsyncIterable<string>;

/** The messages so far; a question is added only together with its answer. */
class Conversation {
  readonly #opening: readonly ChatTurn[];
  #messages: readonly ChatTurn[];

  constructor(system: string | undefined) {
    this.#opening = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#messages = this.#opening;
  }

  reset(): void {
    this.#messages = this.#opening;
  }

  with(question: string): readonly ChatTurn[] {
    return [...this.#messages, { role: 'user', content: question }];
  }

  keep(question: string, answer: string): void {
    this.#messages = [...this.with(question), { role: 'assistant', content: answer }];
  }
}

/** Reads lines until the end of input or /exit; resolves to 1 if the last question failed. */
async function converse(conversation: Conversation, ask: Ask): Promise<number> {
  const isTerminal = process.stdin.isTTY === true;
  const input = createInterface({
    input: process.stdin,
    output: isTerminal ? process.stdout : undefined,
    prompt: '> ',
  });
  let answering: AbortController | undefined;
  input.on('SIGINT', () => (answering === undefined ? input.close() : answering.abort()));
  let status = 0;
  if (isTerminal) input.prompt();
  for await (const line of input) {
    const question = line.trim();
    if (question === '/exit') break;
    if (question === '/reset') conversation.reset();
    else if (question !== '') {
      answering = new AbortController();
      status = await answer(conversation, { question, ask, signal: answering.signal });
      answering = undefined;
    }
    if (isTerminal) input.prompt();
  }
  input.close();
  return status;
}

interface Turn {
  readonly question: string;
  readonly ask: Ask;
  readonly signal: AbortSignal;
}

async function answer(
  conversation: Conversation,
  { question, ask, signal }: Turn,
): Promise<number> {
  let text = '';
  try {
    for await (const piece of ask(conversation.with(question), signal)) {
      text += piece;
      process.stdout.write(piece);
    }
    process.stdout.write('\n');
    conversation.keep(question, text);
    return 0;
  } catch (error: unknown) {
    if (signal.aborted) {
      process.stdout.write('\n');
      return 0;
    }
    if (!(error instanceof MeshError)) throw error;
    process.stderr.write(`${text === '' ? '' : '\n'}autoglm chat: ${error.message}\n`);
    return 1;
  }
}
