import type { MethodDefinition } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { MeshError } from '#mesh/errors.ts';
import { didYouMean } from '#mesh/nearest-name.ts';

/** A method of the shipped protos. */
export interface ProtoMethod {
  /** Full name, such as `autoglm.llm.v1.LlmBackboneService`. */
  readonly service: string;
  /** Name, such as `GetModel`. */
  readonly name: string;
  readonly definition: MethodDefinition<object, object>;
}

/** Returns every method, in the order of the files. */
export function listMethods(protos: PackageDefinition): ProtoMethod[] {
  return Object.entries(protos).flatMap(([service, definition]) =>
    'format' in definition
      ? []
      : Object.entries(definition).map(([name, method]) => ({ service, name, definition: method })),
  );
}

/** Finds `SERVICE/METHOD`; the service's package may be left out. */
export function findMethod(methods: readonly ProtoMethod[], typed: string): ProtoMethod {
  const matches = methods.filter(({ service, name }) => {
    const full = `${service}/${name}`;
    return full === typed || full.endsWith(`.${typed}`);
  });
  const [match] = matches;
  if (match !== undefined && matches.length === 1) return match;
  const names = methods.map(shortName);
  const hint = didYouMean(typed, names) || `; there are ${names.join(', ')}`;
  throw new MeshError('NOT_FOUND', `no method "${typed}"${hint}`);
}

/** Returns the short name, such as `LlmBackboneService/GetModel`. */
export function shortName({ service, name }: ProtoMethod): string {
  return `${service.slice(service.lastIndexOf('.') + 1)}/${name}`;
}
