import { MeshError } from './errors.ts';

/** Counts the calls inside, and lets none in once the process drains. */
export class AdmissionGate {
  readonly #refusal: string;
  #numInside = 0;
  #isDraining = false;
  #onEmpty: () => void = () => {};

  /** `refusal`: what a call hears that comes while the process drains. */
  constructor(refusal: string) {
    this.#refusal = refusal;
  }

  /** Lets a call in; throws DRAINING. Each `enter` needs a `leave`. */
  enter(): void {
    if (this.#isDraining) throw new MeshError('DRAINING', this.#refusal);
    this.#numInside++;
  }

  leave(): void {
    this.#numInside--;
    if (this.#numInside === 0) this.#onEmpty();
  }

  /** Refuses further calls; resolves when the last one inside has left, at the latest after `graceMs`. */
  async drain(graceMs: number): Promise<void> {
    this.#isDraining = true;
    if (this.#numInside === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
