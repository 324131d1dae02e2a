import { EventEmitter } from 'node:events';
import type { ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import type { Server } from 'nice-grpc';
import type { CallContext } from 'nice-grpc-common';
import { PROTO_ROOT } from '#mesh/paths.ts';

const PROTO_FILES = [
  'autoglm/llm/v1/llm_backbone.proto',
  'autoglm/encoder/v1/encoder.proto',
  'autoglm/mesh/v1/instance.proto',
  'grpc/health/v1/health.proto',
];

/** Loads the shipped protos as generic clients do: snake_case fields, enums by name. */
export function loadProtos(): PackageDefinition {
  return loadSync(PROTO_FILES, {
    includeDirs: [PROTO_ROOT],
    keepCase: true,
    longs: String,
    enums: String,
    bytes: String,
    oneofs: true,
  });
}

/**
 * Adds gRPC server reflection for `services`, so that a generic client can list and call them. Use
 * it on internal listeners only: it shows the whole interface.
 */
export function addReflection(server: Server, services: readonly string[]): void {
  const reflection = new ReflectionService(loadProtos(), { services: [...services] });
  reflection.addToServer({
    addService: (definition: ServiceDefinition, handlers: UntypedServiceImplementation) => {
      const implementation: Record<string, unknown> = {};
      for (const [name, handler] of Object.entries(handlers)) {
        implementation[name] = (requests: AsyncIterable<unknown>, context: CallContext) =>
          callDuplexHandler(handler, requests, context);
      }
      server.add(definition, implementation);
    },
  });
}

/**
 * Runs a handler written for grpc-js's duplex stream as an async generator. The reflection handlers
 * answer each request synchronously, so each message in yields its answers.
 */
async function* callDuplexHandler(
  handler: unknown,
  requests: AsyncIterable<unknown>,
  context: CallContext,
): AsyncGenerator<unknown> {
  const answers: unknown[] = [];
  const stream = Object.assign(new EventEmitter(), {
    write: (answer: unknown) => answers.push(answer) > 0,
    end: () => {},
  });
  if (typeof handler !== 'function') throw new TypeError('reflection handler is not a function');
  handler(stream);
  for await (const request of requests) {
    if (context.signal.aborted) return;
    stream.emit('data', request);
    yield* answers.splice(0);
  }
  stream.emit('end');
}
