import type { IncomingMessage } from 'node:http';
import { recordOf } from '#gateway/requests/request-record.ts';
import type { ErrorReason, MeshError } from '#mesh/errors.ts';

/** Of a request, also of one of which no record is kept. */
interface Received {
  readonly raw: IncomingMessage;
}

const reasons = new WeakMap<IncomingMessage, ErrorReason>();

/** Notes why a request failed. */
export function noteFailure(request: Received, { reason }: Pick<MeshError, 'reason'>): void {
  reasons.set(request.raw, reason);
  const record = recordOf(request);
  if (record !== undefined) record.error = reason;
}

/** Returns why a request failed; undefined if it did not. */
export function failureOf(request: Received): ErrorReason | undefined {
  return reasons.get(request.raw);
}
