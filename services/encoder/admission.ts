import { MeshError } from '#mesh/errors.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';

/** What lets calls into an encoder, and the part of them that holds an item in memory. */
export interface Admission {
  /** All calls; what drains. */
  readonly calls: AdmissionGate;
  /** Items that are being received, encoded or sent, or wait for it. */
  readonly items: AdmissionGate;
}

/** Lets calls in until the process drains, and no more items than it can hold. */
export function createAdmission({ maxItems }: { readonly maxItems: number }): Admission {
  const closed = 'this encoder is shutting down; ask another one';
  const refusal = () => {
    const message = `${maxItems} items are being encoded or wait, at most ${maxItems} may`;
    return new MeshError('QUEUE_FULL', message);
  };
  return {
    calls: new AdmissionGate({ closed }),
    items: new AdmissionGate({ closed, limit: { maxInside: maxItems, refusal } }),
  };
}
