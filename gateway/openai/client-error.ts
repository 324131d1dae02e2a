import type { MediaReference } from '#gateway/openai/request/media-reference.ts';
import { MeshError } from '#mesh/errors.ts';
import type { FieldNames } from './field-names.ts';

/** The names that a client used in its request. */
export interface ClientWords {
  readonly fields: FieldNames;
  /** The request's media, by their index in the prompt. */
  readonly references: readonly MediaReference[];
  /** Index of the prompt that the refusal is about; undefined if the request has one prompt. */
  readonly promptIndex?: number | undefined;
}

/** Path in `Prompt.media` of the protocol of the media item that a refusal is about. */
const ITEM = /^media\[(\d+)\]/;
/** Paths of the prompt itself, which a request may have several of. */
const PROMPT = /^prompt(?:\.text|\.tokens\.token_ids)?(?=$|\[)/;

/**
 * Replaces a field of the mesh in a refusal by the client's name for it; other errors stay as they
 * are.
 */
export function clientError(error: unknown, words: ClientWords): unknown {
  if (!(error instanceof MeshError) || error.param === undefined) return error;
  const { param } = error;
  const named = itemField(param, words) ?? promptField(param, words) ?? requestField(param, words);
  if (named === undefined || named.field === '' || named.field === error.param) return error;
  return error.about(named.field, renamed(error.message, named));
}

/** Returns a client's name for a field. */
export function clientField(param: string, fields: FieldNames): string {
  return requestField(param, { fields })?.field ?? param;
}

interface NamedField {
  /** The path that the mesh uses. */
  readonly path: string;
  /** The client's name for the field. */
  readonly field: string;
  /** True if the client sent several of the kind, so that a message has to say which one. */
  readonly isOneOfMany: boolean;
}

function itemField(param: string, { references }: ClientWords): NamedField | undefined {
  const [path = '', index] = ITEM.exec(param) ?? [];
  const field = references[Number(index)]?.param;
  return field === undefined ? undefined : { path, field, isOneOfMany: true };
}

function promptField(param: string, words: ClientWords): NamedField | undefined {
  const { fields, promptIndex } = words;
  const [path] = PROMPT.exec(param) ?? [];
  if (path === undefined || promptIndex === undefined) return undefined;
  const field = `${fields.get(path) ?? path}[${promptIndex}]${param.slice(path.length)}`;
  return { path: param, field, isOneOfMany: true };
}

/** Looks up the whole path, then the path without its last step, and so on. */
function requestField(
  param: string,
  { fields }: Pick<ClientWords, 'fields'>,
): NamedField | undefined {
  for (let end = param.length; end > 0; end = lastStep(param, end)) {
    const name = fields.get(param.slice(0, end));
    if (name === undefined) continue;
    const rest = param.slice(end);
    const field = name === '' && rest.startsWith('.') ? rest.slice(1) : name + rest;
    return { path: param, field, isOneOfMany: false };
  }
  return undefined;
}

function lastStep(path: string, end: number): number {
  return Math.max(path.lastIndexOf('.', end - 1), path.lastIndexOf('[', end - 1));
}

/** Replaces the path if the message begins with it. */
function renamed(message: string, { path, field, isOneOfMany }: NamedField): string {
  const rest = message.slice(path.length);
  if (message.startsWith(path) && /^(?:[ :.[]|$)/.test(rest)) return field + rest;
  return isOneOfMany ? `${field}: ${message}` : message;
}
