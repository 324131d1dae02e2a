import { checkNumFields } from '#gateway/openai/fields/check-fields.ts';
import { MeshError } from '#mesh/errors.ts';
import { briefly, isRecord } from '#mesh/json-value.ts';

/** A request body whose unset fields are absent. */
export type Body = Readonly<Record<string, unknown>>;

/**
 * Opens a JSON body. A null field counts as unset, as in OpenAI's API. The fields of a literal
 * `extra_body` object, which JavaScript clients send as such, join the request; if both name a
 * field, the top level wins.
 */
export function openBody(json: unknown): Body {
  if (!isRecord(json)) {
    throw new MeshError('INVALID_REQUEST', `the body must be a JSON object, got ${briefly(json)}`);
  }
  checkNumFields(json, 'the body');
  const { extra_body: extra, ...top } = withoutNulls(json);
  if (extra === undefined) return top;
  if (!isRecord(extra)) {
    throw new MeshError('INVALID_REQUEST', `extra_body must be an object, got ${briefly(extra)}`, {
      param: 'extra_body',
    });
  }
  checkNumFields(extra, 'extra_body');
  return { ...withoutNulls(extra), ...top };
}

function withoutNulls(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));
}
