/** Text that all request ids of the load begin with; `ID_LENGTH` characters are one id. */
const PREFIX = 'chaos-';
const NUM_DIGITS = 7;
const ID_LENGTH = PREFIX.length + NUM_DIGITS;

/** Returns the id of the `index`th request of a run. */
export function requestIdAt(index: number): string {
  return PREFIX + String(index).padStart(NUM_DIGITS, '0');
}

/** A request on its way to an instance. */
export interface Sighting {
  readonly instance: string;
  readonly atMs: number;
}

/**
 * Notes which instance each request was sent to, from the bytes on the way: a gRPC message carries
 * the request's id as it is.
 */
export class Sightings {
  readonly #byRequest = new Map<string, Sighting[]>();

  /** Returns the sightings of a request, in order. */
  of(requestId: string): readonly Sighting[] {
    return this.#byRequest.get(requestId) ?? [];
  }

  /** Makes an observer of one connection; `onSight` is called for each request that passes. */
  observer(instance: string, onSight: () => void): (bytes: Buffer) => void {
    let tail = Buffer.alloc(0);
    return (bytes) => {
      const seam = Buffer.concat([tail, bytes.subarray(0, ID_LENGTH - 1)]);
      for (const id of new Set([...idsIn(seam), ...idsIn(bytes)])) {
        this.#note(id, { instance, atMs: performance.now() });
        onSight();
      }
      tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - ID_LENGTH + 1)));
    };
  }

  #note(id: string, sighting: Sighting): void {
    const known = this.#byRequest.get(id);
    if (known === undefined) this.#byRequest.set(id, [sighting]);
    else known.push(sighting);
  }
}

function* idsIn(bytes: Buffer): Generator<string> {
  for (let at = bytes.indexOf(PREFIX); at !== -1; at = bytes.indexOf(PREFIX, at + 1)) {
    const id = bytes.toString('latin1', at, at + ID_LENGTH);
    if (id.length === ID_LENGTH) yield id;
  }
}
