import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import type { MediaModality } from '#mesh/modality.ts';
import { acceptedNames, formatOf } from './file-format.ts';

export interface SniffContext {
  readonly modality: MediaModality;
  /** Media type that the client declared; a refusal quotes it, but it is never trusted. */
  readonly declaredType: string | undefined;
  /** Path of the item in the request. */
  readonly param: string;
}

/**
 * Returns the IANA media type of an item by its magic number; refuses a type that no encoder of its
 * modality reads.
 */
export function sniffMediaType(bytes: Buffer, context: SniffContext): string {
  const format = formatOf(bytes);
  if (format?.accepted?.modality === context.modality) return format.accepted.mediaType;
  const { param } = context;
  const message = `${param} ${received(bytes, format?.name, context)}; ${expected(context.modality)}`;
  throw new MeshError('UNSUPPORTED_MEDIA', message, { param });
}

function received(
  bytes: Buffer,
  name: string | undefined,
  { declaredType, modality }: SniffContext,
): string {
  if (bytes.length === 0) return 'is empty';
  const declared = declaredType === undefined ? '' : ` (declared as ${excerpt(declaredType)})`;
  if (name !== undefined) return `looks like ${name}${declared}`;
  return `is not recognised as ${modality === 'image' ? 'an image' : 'audio'}${declared}`;
}

function expected(modality: MediaModality): string {
  const kind = modality === 'image' ? 'image' : 'audio';
  return `${kind} formats accepted here are ${acceptedNames(modality)}`;
}
