import { isRecord } from '#mesh/json-value.ts';

/** Most characters of a 64-bit integer, its sign included. */
const MAX_DIGITS = 20;

/** An integer member "seed" of an object; an escaped quote before it belongs to another name. */
const SEED = /(?<=[{,\s])"seed"\s*:\s*(-?\d+)(?=[,}\s])/g;

/**
 * Replaces the seed of a parsed body, and that of its `extra_body`, by a bigint if its digits say
 * more than a number holds. `text` is the JSON it was parsed from, which is searched only then.
 */
export function withExactSeeds(json: unknown, text: string): unknown {
  if (!isRecord(json)) return json;
  const extra = json['extra_body'];
  for (const object of isRecord(extra) ? [json, extra] : [json]) {
    const seed = object['seed'];
    if (typeof seed !== 'number' || !Number.isInteger(seed) || Number.isSafeInteger(seed)) continue;
    const exact = digitsOf(seed, text);
    if (exact !== undefined) object['seed'] = exact;
  }
  return json;
}

/** Returns the last seed in the text that a number rounds to `seed`: the last of two names counts. */
function digitsOf(seed: number, text: string): bigint | undefined {
  let found: bigint | undefined;
  for (const [, digits = ''] of text.matchAll(SEED)) {
    if (digits.length <= MAX_DIGITS && Number(digits) === seed) found = BigInt(digits);
  }
  return found;
}
