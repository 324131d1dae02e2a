import { MeshError } from '#mesh/errors.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';

/** The gates of an encoder: for calls, and for the part of a call that holds an item in memory. */
export interface Admission {
  /** Gate of all calls, which drains. */
  readonly calls: AdmissionGate;
  /** Gate of items that are being received, encoded or sent, or wait for that. */
  readonly items: AdmissionGate;
}

/** Admits calls until the process drains, and no more items than it can hold. */
export function createAdmission({ maxItems }: { readonly maxItems: number }): Admission {
  const closed = 'this encoder is shutting down; ask another one';
  const refusal = (retryAfterMs: number) => {
    const message = `${maxItems} items are being encoded or wait, at most ${maxItems} may`;
    return new MeshError('QUEUE_FULL', message, { retryAfterMs });
  };
  return {
    calls: new AdmissionGate({ closed }),
    items: new AdmissionGate({ closed, limit: { maxInside: maxItems, refusal } }),
  };
}
