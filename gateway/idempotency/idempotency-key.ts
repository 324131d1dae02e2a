import type { IncomingHttpHeaders } from 'node:http';
import { MeshError } from '#mesh/errors.ts';

/** Header in which clients of OpenAI and Stripe name a request that they may send again. */
const HEADER = 'idempotency-key';

/** Printable ASCII without spaces; two headers of this name arrive with ", " between them. */
const KEY = /^[\x21-\x7e]{1,255}$/;

/** Returns the key of a request; undefined if it has none. Throws INVALID_REQUEST. */
export function idempotencyKey(headers: IncomingHttpHeaders): string | undefined {
  const key = headers[HEADER];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && KEY.test(key)) return key;
  const message =
    'the header Idempotency-Key must have 1 to 255 printable ASCII characters and no space, such as a UUID';
  throw new MeshError('INVALID_REQUEST', message, { param: 'Idempotency-Key' });
}
