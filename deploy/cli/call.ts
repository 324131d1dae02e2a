import { createChannel, createClientFactory } from 'nice-grpc';
import { Type } from 'typebox';
import { readArguments } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { statusToErrorMiddleware } from '#mesh/grpc/error-status.ts';
import { loadProtos } from '#mesh/grpc/reflection.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import { BACKBONE } from '../local/roles.ts';
import type { Command } from './command.ts';
import { addressIn, findMesh } from './find-mesh.ts';
import { requestMessages } from './json-messages.ts';
import { findMethod, listMethods, type ProtoMethod, shortName } from './proto-methods.ts';

const callOptions = Type.Object(
  {
    address: Type.Optional(
      Type.String({
        description: 'host:port of the process; unset: the llm-backbone of the mesh that runs here',
        minLength: 1,
      }),
    ),
    config: Type.Optional(
      Type.String({ description: 'Configuration file of the mesh', minLength: 1 }),
    ),
    timeoutS: Type.Number({ description: 'Deadline, seconds', default: 300, exclusiveMinimum: 0 }),
  },
  { additionalProperties: false },
);

/** `autoglm call`: a generic gRPC client over the shipped protos. */
export const call: Command = {
  name: 'call',
  summary: 'call a gRPC method of a process with JSON messages',
  help: () => {
    const methods = listMethods(loadProtos()).map((method) => `  ${shortName(method)}`);
    return `Usage: autoglm call [options] SERVICE/METHOD [JSON...]\n\nEach JSON object is one request message; - reads one a line from standard input.\nResponses are printed as JSON, one a line.\n\nMethods:\n${methods.join('\n')}\n\nOptions [default]:\n${helpText(callOptions)}\n`;
  },
  run: async (args) => {
    const { values, rest } = readArguments(callOptions, args);
    const options = resolveOptions(callOptions, values);
    const [name, ...texts] = rest;
    if (name === undefined) {
      throw new MeshError(
        'INVALID_REQUEST',
        'name a SERVICE/METHOD; "autoglm call --help" lists them',
      );
    }
    const method = findMethod(listMethods(loadProtos()), name);
    const address = options.address ?? addressIn(await findMesh(options.config), BACKBONE.name);
    const requests = requestMessages(method, texts, process.stdin);
    const signal = AbortSignal.timeout(options.timeoutS * 1000);
    for await (const response of invoke(method, { address, requests, signal })) {
      process.stdout.write(`${JSON.stringify(response)}\n`);
    }
    return 0;
  },
};

interface Invocation {
  readonly address: string;
  readonly requests: AsyncIterable<object>;
  readonly signal: AbortSignal;
}

/** Calls a method of any kind; a failure is the MeshError that the process threw. */
async function* invoke(method: ProtoMethod, invocation: Invocation): AsyncGenerator<unknown> {
  const { address, requests, signal } = invocation;
  const channel = createChannel(address);
  try {
    const client = createClientFactory()
      .use(statusToErrorMiddleware)
      .create({ [method.name]: method.definition }, channel);
    const send: unknown = Reflect.get(client, method.name);
    if (typeof send !== 'function') throw new TypeError(`no client method ${method.name}`);
    const argument = method.definition.requestStream ? requests : await onlyMessage(requests);
    const answer: unknown = send.call(client, argument, { signal });
    if (isAsyncIterable(answer)) yield* answer;
    else yield await answer;
  } finally {
    channel.close();
  }
}

async function onlyMessage(requests: AsyncIterable<object>): Promise<object> {
  const messages: object[] = [];
  for await (const message of requests) messages.push(message);
  const [message, ...more] = messages;
  if (message !== undefined && more.length === 0) return message;
  const why = `this method takes one message, got ${messages.length}`;
  throw new MeshError('INVALID_REQUEST', why);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
