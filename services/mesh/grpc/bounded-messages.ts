import { BinaryReader } from '@bufbuild/protobuf/wire';
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js';
import type { Server, ServiceImplementation, TsProtoServiceDefinition } from 'nice-grpc';
import { MeshError } from '#mesh/errors.ts';
import { refusedStatus } from './error-status.ts';

/**
 * Most numbers in a message: its fields, their lengths, and the values of lists. So many take the event
 * loop half a second at most, and go with 128 choices of 8,192 tokens that are resumed; twenty million,
 * which have room in a message, take ten seconds, and more memory than the heap may have.
 */
export const MAX_MESSAGE_NUMBERS = 1_200_000;

/** Where a process adds its services. */
export interface ServiceTarget {
  add<Service extends TsProtoServiceDefinition>(
    definition: Service,
    implementation: ServiceImplementation<Service>,
  ): void;
}

/** Adds services to a server that reads their requests within bounds. */
export function boundedTarget(server: Server): ServiceTarget {
  return {
    add: (definition, implementation) => server.add(withBounds(definition), implementation),
  };
}

/** What stands for a message that cannot be read, until the call is refused for it. */
class UnreadableMessage {
  readonly why: MeshError;

  constructor(why: MeshError) {
    this.why = why;
  }
}

/** Refuses calls with a message that cannot be read, in our words; grpc-js would call that its own failure. */
export const refuseUnreadable: ServerInterceptor = (_method, call) =>
  new ServerInterceptingCall(call, {
    start: (next) =>
      next({
        onReceiveMessage: (message: unknown, pass) => {
          if (message instanceof UnreadableMessage) call.sendStatus(refusedStatus(message.why));
          else pass(message);
        },
      }),
  });

/** A message as its generated code reads it. */
interface RequestType {
  decode(input: BinaryReader | Uint8Array): unknown;
}

function withBounds<Service extends TsProtoServiceDefinition>(definition: Service): Service {
  const methods = Object.entries(definition.methods).map(([name, method]) => {
    const requestType: RequestType = method.requestType;
    const decode = (bytes: Uint8Array): unknown => readWithin(bytes, requestType);
    return [name, { ...method, requestType: { ...requestType, decode } }] as const;
  });
  return { ...definition, methods: Object.fromEntries(methods) };
}

function readWithin(bytes: Uint8Array, type: RequestType): unknown {
  try {
    // Each number has a byte at least.
    return type.decode(bytes.length <= MAX_MESSAGE_NUMBERS ? bytes : new BoundedReader(bytes));
  } catch (cause: unknown) {
    if (cause instanceof MeshError) return new UnreadableMessage(cause);
    const message = 'a message cannot be read: it is damaged, or is no message of this method';
    return new UnreadableMessage(new MeshError('INVALID_REQUEST', message, { cause }));
  }
}

/** Reads as many numbers as a message may have. */
class BoundedReader extends BinaryReader {
  constructor(bytes: Uint8Array) {
    super(bytes);
    const read = this.uint32;
    let numRead = 0;
    this.uint32 = () => {
      numRead += 1;
      if (numRead > MAX_MESSAGE_NUMBERS) throw tooMany();
      return read.call(this);
    };
  }
}

function tooMany(): MeshError {
  const message = `a message has more than ${MAX_MESSAGE_NUMBERS} fields, lengths and values of lists; send less in one`;
  return new MeshError('PAYLOAD_TOO_LARGE', message);
}
