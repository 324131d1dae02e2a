import { refusal } from '#gateway/openai/request/refusal.ts';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';

/** Limits of OpenAI's API; every answer repeats the metadata of its request. */
const MAX_PAIRS = 16;
const MAX_NAME_CHARS = 64;
const MAX_VALUE_CHARS = 512;

export type Metadata = Readonly<Record<string, unknown>>;

/** Refuses metadata that are not a few short texts. */
export function checkMetadata(metadata: Metadata = {}): Metadata {
  const pairs = Object.entries(metadata);
  if (pairs.length > MAX_PAIRS) {
    throw refusal('metadata', `an object of at most ${MAX_PAIRS} texts`, metadata);
  }
  for (const [name, value] of pairs) {
    if (name.length > MAX_NAME_CHARS) {
      const message = `metadata: a name has at most ${MAX_NAME_CHARS} characters, got ${name.length}`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'metadata' });
    }
    if (typeof value === 'string' && value.length <= MAX_VALUE_CHARS) continue;
    throw refusal(
      `metadata.${excerpt(name)}`,
      `a text of at most ${MAX_VALUE_CHARS} characters`,
      value,
    );
  }
  return metadata;
}
