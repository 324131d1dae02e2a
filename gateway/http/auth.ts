import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { MeshError } from '#mesh/errors.ts';

/** Paths that probes, scrapers and newcomers use without a key. */
const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/',
  '/health',
  '/livez',
  '/metrics',
  '/ping',
  '/readyz',
  '/version',
]);

/** An `authorization` header with a key; the scheme is read as every HTTP server does. */
const BEARER = /^bearer[ \t]+(\S+)$/i;

/** Beginning of the paths of the console's own files, which hold nothing that is anyone's. */
const OPEN_FILES = '/console/';

export function isOpenPath(path: string): boolean {
  return OPEN_PATHS.has(path) || path.startsWith(OPEN_FILES);
}

/**
 * Returns the header with a request's key, in the form of `authorization`: clients of Anthropic's API
 * send `x-api-key` instead.
 */
export function authorizationOf(headers: IncomingHttpHeaders): string | undefined {
  const { authorization, 'x-api-key': key } = headers;
  if (typeof key !== 'string' || keyIn(authorization) !== undefined) return authorization;
  return `Bearer ${key}`;
}

/** Checks bearer keys in constant time: compares hashes, and always all of them. */
export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  /** `keys` are separated by commas; undefined admits every request. */
  constructor(keys: string | undefined) {
    const list = (keys ?? '').split(',').map((key) => key.trim());
    this.#hashes = list.filter((key) => key !== '').map(sha256);
  }

  /** False if every request is admitted. */
  get areRequired(): boolean {
    return this.#hashes.length > 0;
  }

  /** Throws UNAUTHENTICATED unless the `authorization` header carries one of the keys. */
  check(authorization: string | undefined): void {
    if (!this.areRequired) return;
    const key = keyIn(authorization);
    if (key === undefined) throw refusal('an API key is required: "Authorization: Bearer KEY"');
    if (this.#matching(key) === undefined) throw refusal('the API key is not valid');
  }

  /** Returns a name of the key that a header carries, which does not tell the key. */
  nameOf(authorization: string | undefined): string | undefined {
    const key = this.areRequired ? keyIn(authorization) : undefined;
    return key === undefined ? undefined : this.#matching(key)?.toString('hex', 0, 16);
  }

  #matching(key: string): Buffer | undefined {
    const hash = sha256(key);
    const [match] = this.#hashes.filter((known) => timingSafeEqual(known, hash));
    return match;
  }
}

function keyIn(authorization = ''): string | undefined {
  return BEARER.exec(authorization.trim())?.[1];
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function refusal(message: string): MeshError {
  return new MeshError('UNAUTHENTICATED', message);
}
