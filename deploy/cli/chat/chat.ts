import { createInterface } from 'node:readline';
import { Type } from 'typebox';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { wantsColour } from '#mesh/log/pretty-line.ts';
import { didYouMean } from '#mesh/nearest-name.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { SAMPLING_FIELDS } from '#mesh/sampling-fields.ts';
import type { Command } from '../command.ts';
import { meshFields, meshToAsk } from '../mesh-to-ask.ts';
import { type AnswerView, RawAnswer, WordedAnswer } from './answer-view.ts';
import { type ChatTurn, streamChat } from './chat-client.ts';
import { Conversation } from './conversation.ts';
import { audioPart, type ContentPart, imagePart } from './media-part.ts';

const chatOptions = Type.Object(
  {
    url: meshFields.url,
    config: meshFields.config,
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
    raw: Type.Boolean({
      default: false,
      description:
        'Print answers as the model wrote them, as they are when the output is no terminal',
    }),
    apiKey: meshFields.apiKey,
  },
  { additionalProperties: false },
);

const COMMANDS = `/image FILE  sends a picture with the next message
/audio FILE  sends a recording with the next message; an empty line sends it alone
/raw         shows the last answer as the model wrote it
/new         forgets the conversation (or /reset)
/help        shows this list
/exit        ends the chat
`;

/** `autoglm chat`: a terminal chat against a running mesh. */
export const chat: Command = {
  name: 'chat',
  summary: 'chat with a running mesh in the terminal',
  help: () =>
    `Usage: autoglm chat [options]\n\nEach line is a message. Ctrl-C breaks off an answer, and ends the chat between answers.\n\n${COMMANDS}\nOptions [default]:\n${helpText(chatOptions)}\n`,
  run: async (args) => {
    const options = resolveOptions(chatOptions, parseFlags(chatOptions, args));
    const { system, model, temperature, maxTokens, raw } = options;
    const fields = { model, temperature, max_tokens: maxTokens };
    const { url, apiKey } = await meshToAsk(options);
    const isForPeople = process.stdout.isTTY === true && !raw;
    const isColoured = wantsColour(isForPeople, process.env);
    const chatting = new Chat(new Conversation(system), {
      ask: (messages, signal) => streamChat(messages, { url, apiKey, fields, signal }),
      view: () => (isForPeople ? new WordedAnswer({ isColoured }) : new RawAnswer()),
    });
    return chatting.run();
  },
};

interface ChatParts {
  /** Streams the text of an answer. */
  readonly ask: (messages: readonly ChatTurn[], signal: AbortSignal) => AsyncIterable<string>;
  /** Makes the view of one answer. */
  readonly view: () => AnswerView;
}

const ATTACHMENTS: Readonly<Record<string, (path: string) => Promise<ContentPart>>> = {
  '/image': imagePart,
  '/audio': audioPart,
};

/** A chat that reads lines of standard input. */
class Chat {
  readonly #conversation: Conversation;
  readonly #parts: ChatParts;
  #answering: AbortController | undefined;
  /** The last answer, as far as it came. */
  #last = '';

  constructor(conversation: Conversation, parts: ChatParts) {
    this.#conversation = conversation;
    this.#parts = parts;
  }

  /** Reads lines until the end of input or /exit; resolves to 1 if the last one failed. */
  async run(): Promise<number> {
    const isTerminal = process.stdin.isTTY === true;
    const input = createInterface({
      input: process.stdin,
      output: isTerminal ? process.stdout : undefined,
      prompt: '> ',
    });
    input.on('SIGINT', () => {
      if (this.#answering === undefined) input.close();
      else this.#answering.abort();
    });
    let status = 0;
    if (isTerminal) {
      process.stdout.write('/help lists the commands\n');
      input.prompt();
    }
    for await (const line of input) {
      if (line.trim() === '/exit') break;
      status = await this.#take(line.trim());
      if (isTerminal) input.prompt();
    }
    input.close();
    return status;
  }

  /** Takes a line; resolves to the exit status it would leave. */
  async #take(line: string): Promise<number> {
    const [, command = '', argument = ''] = /^(\/[a-z]+)(?:\s+(.*))?$/.exec(line) ?? [];
    const attachment = ATTACHMENTS[command];
    try {
      if (attachment !== undefined) this.#conversation.attach(await attachment(unquoted(argument)));
      else if (command === '/help') process.stdout.write(COMMANDS);
      else if (command === '/raw') process.stdout.write(`${this.#last}\n`);
      else if (command === '/new' || command === '/reset') this.#conversation.reset();
      else if (command !== '') throw unknownCommand(command);
      else if (line !== '' || this.#conversation.numMedia > 0) await this.#answer(line);
      return 0;
    } catch (error: unknown) {
      if (!(error instanceof MeshError)) throw error;
      process.stderr.write(`autoglm chat: ${error.message}\n`);
      return 1;
    }
  }

  async #answer(question: string): Promise<void> {
    const messages = this.#conversation.ask(question);
    const answering = new AbortController();
    this.#answering = answering;
    const view = this.#parts.view();
    let isWhole = false;
    this.#last = '';
    try {
      for await (const piece of this.#parts.ask(messages, answering.signal)) {
        this.#last += piece;
        process.stdout.write(view.take(piece));
      }
      isWhole = true;
      this.#conversation.keep(messages, this.#last);
    } catch (error: unknown) {
      if (!answering.signal.aborted) throw error;
    } finally {
      this.#answering = undefined;
      process.stdout.write(view.end(isWhole));
    }
  }
}

function unknownCommand(typed: string): MeshError {
  const known = [...COMMANDS.matchAll(/^\/[a-z]+/gm)].map(([name]) => name);
  const hint = didYouMean(typed, known) || '; /help lists them';
  return new MeshError('INVALID_REQUEST', `no command ${typed}${hint}`);
}

/** Strips the quotes in which a terminal puts a path that was dropped on it. */
function unquoted(path: string): string {
  return /^(['"])(.*)\1$/.exec(path)?.[2] ?? path;
}
