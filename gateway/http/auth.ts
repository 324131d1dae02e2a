import { createHash, timingSafeEqual } from 'node:crypto';
import { MeshError } from '#mesh/errors.ts';

/** Paths that probes and scrapers use without a key. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/health', '/ping', '/version', '/metrics']);

export function isOpenPath(path: string): boolean {
  return OPEN_PATHS.has(path);
}

/** Checks bearer keys in constant time: compares hashes, and always all of them. */
export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  /** `keys` are separated by commas; undefined admits every request. */
  constructor(keys: string | undefined) {
    const list = (keys ?? '').split(',').map((key) => key.trim());
    this.#hashes = list.filter((key) => key !== '').map(sha256);
  }

  /** Throws UNAUTHENTICATED unless the `authorization` header carries one of the keys. */
  check(authorization: string | undefined): void {
    if (this.#hashes.length === 0) return;
    const [scheme, key] = (authorization ?? '').split(' ', 2);
    if (scheme?.toLowerCase() !== 'bearer' || key === undefined) {
      throw refusal('an API key is required: "Authorization: Bearer KEY"');
    }
    const hash = sha256(key);
    const matches = this.#hashes.filter((known) => timingSafeEqual(known, hash));
    if (matches.length === 0) throw refusal('the API key is not valid');
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refusal(message: string): MeshError {
  return new MeshError('UNAUTHENTICATED', message);
}
