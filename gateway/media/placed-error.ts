import type { MediaReference } from '#gateway/openai/media-reference.ts';
import { MeshError } from '#mesh/errors.ts';

/** How the mesh names the media item a refusal is about: `Prompt.media` of the protocol. */
const ITEM = /^media\[(\d+)\]/;

/** Gives a refused media item the name of its place in the client's request. */
export function placedError(error: unknown, references: readonly MediaReference[]): unknown {
  if (!(error instanceof MeshError) || error.param === undefined) return error;
  const [name, index] = ITEM.exec(error.param) ?? [];
  const reference = references[Number(index)];
  if (name === undefined || reference === undefined) return error;
  const { param } = reference;
  const message = error.message.includes(name)
    ? error.message.replaceAll(name, param)
    : `${param}: ${error.message}`;
  const { reason, retryAfterMs } = error;
  const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
  return new MeshError(reason, message, { param, ...retry, cause: error });
}
