import { createHash, type Hash } from 'node:crypto';
import { isRecord } from '#mesh/json-value.ts';
import { FormBody } from './form-body.ts';

/** Characters or bytes that are hashed before others have their turn: a millisecond of work. */
const TURN_SIZE = 1024 * 1024;
/** What a value costs besides its characters, in the same measure. */
const VALUE_SIZE = 100;

/**
 * Returns a SHA-256, in hex, of what a parsed body says: the order of fields and the boundary of a
 * form, which a client chooses anew at each try, do not count.
 */
export async function bodyHash(body: unknown): Promise<string> {
  const hash = new TurnTakingHash();
  if (body instanceof FormBody) await hashForm(hash, body);
  else await hashJson(hash, body);
  return hash.digest();
}

async function hashForm(hash: TurnTakingHash, { texts, files }: FormBody): Promise<void> {
  await hashJson(hash, Object.fromEntries(texts));
  for (const { field, declaredType, bytes } of files) {
    await hashJson(hash, [field, declaredType, bytes.length]);
    await hash.add(bytes);
  }
}

async function hashJson(hash: TurnTakingHash, value: unknown): Promise<void> {
  if (typeof value === 'string') {
    // The length says where a text ends, whatever is in it.
    await hash.add(`"${value.length}:`);
    await hash.add(value);
  } else if (Array.isArray(value)) {
    await hash.add(`[${value.length}:`);
    for (const item of value) await hashJson(hash, item);
  } else if (isRecord(value)) {
    const names = Object.keys(value).sort();
    await hash.add(`{${names.length}:`);
    for (const name of names) {
      await hashJson(hash, name);
      await hashJson(hash, value[name]);
    }
  } else {
    await hash.add(`${typeof value} ${String(value)};`);
  }
}

/** Hashes in turns with the event loop, since a body may have many megabytes. */
class TurnTakingHash {
  readonly #hash: Hash = createHash('sha256');
  #sinceTurn = 0;

  async add(piece: string | Buffer): Promise<void> {
    this.#sinceTurn += VALUE_SIZE;
    for (let at = 0; at < piece.length; at += TURN_SIZE) {
      const part = piece.slice(at, at + TURN_SIZE);
      this.#hash.update(part);
      this.#sinceTurn += part.length;
      if (this.#sinceTurn < TURN_SIZE) continue;
      this.#sinceTurn = 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  digest(): string {
    return this.#hash.digest('hex');
  }
}
