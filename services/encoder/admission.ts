import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { AdmissionGate } from '#mesh/process/admission-gate.ts';
import { ItemPlaces } from './item-places.ts';

/** The gates of an encoder: for calls, and for the part of a call that holds an item in memory. */
export interface Admission {
  /** Gate of all calls, which drains. */
  readonly calls: AdmissionGate;
  readonly items: ItemPlaces;
}

/** Admits calls until the process drains, and no more items than it can hold. */
export function createAdmission({
  maxItems,
  clock = systemClock,
}: {
  readonly maxItems: number;
  readonly clock?: Clock;
}): Admission {
  const closed = 'this encoder is shutting down; ask another one';
  return {
    calls: new AdmissionGate({ closed }),
    items: new ItemPlaces({ maxItems, closed, clock }),
  };
}
