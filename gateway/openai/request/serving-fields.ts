import { type Static, Type } from 'typebox';
import type { UnknownField } from '#gateway/openai/fields/check-fields.ts';
import { MeshError } from '#mesh/errors.ts';
import { integerField, textField } from './fields.ts';
import type { RequestedStart } from './requested-start.ts';

const MAX_SALT_BYTES = 1024;

/** Fields of every request that generates: which model, under which name, in which queue and cache. */
export const servingFields = {
  model: textField('a model name'),
  request_id: Type.Optional(
    Type.String({
      pattern: '^[\\w.:/+=@-]{1,128}$',
      description: 'a text of 1 to 128 letters, digits and characters of "_.:/+=@-"',
    }),
  ),
  cache_salt: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MAX_SALT_BYTES,
      description: `a text of 1 to ${MAX_SALT_BYTES} bytes`,
    }),
  ),
  priority: integerField({ min: -2_147_483_648, max: 2_147_483_647 }),
} as const;

type ServingRequest = Static<ReturnType<typeof Type.Object<typeof servingFields>>>;

/** What a request names besides its prompt. */
export interface RequestNames {
  /** The model's name, as the client wrote it; undefined for the default. */
  readonly model: string | undefined;
  /** The name that the client gave the request in its body. */
  readonly requestId: string | undefined;
  /** Fields that were ignored because nobody knows them. */
  readonly unknownFields: readonly UnknownField[];
}

export function requestNames(request: ServingRequest): Pick<RequestNames, 'model' | 'requestId'> {
  return { model: modelName(request.model), requestId: request.request_id };
}

/** Returns the name of a model; an empty one means the default, as in vLLM. */
export function modelName(model: string | undefined): string | undefined {
  return model === '' ? undefined : model;
}

export function servingParams(
  request: ServingRequest,
): Pick<RequestedStart, 'priority' | 'cacheSalt'> {
  const { priority, cache_salt: cacheSalt = '' } = request;
  const numBytes = Buffer.byteLength(cacheSalt);
  if (numBytes > MAX_SALT_BYTES) {
    const message = `cache_salt must be a text of 1 to ${MAX_SALT_BYTES} bytes, got ${numBytes}`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'cache_salt' });
  }
  return { priority, cacheSalt };
}
