import { MeshError } from '#mesh/errors.ts';

/** Counts the requests inside, and lets none in once the instance drains. */
export class AdmissionGate {
  #numInside = 0;
  #isDraining = false;
  #onEmpty: () => void = () => {};

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Lets a request in; throws DRAINING. Each `enter` needs a `leave`. */
  enter(): void {
    if (this.#isDraining) {
      throw new MeshError('DRAINING', 'this instance is finishing its work and takes no more');
    }
    this.#numInside++;
  }

  leave(): void {
    this.#numInside--;
    if (this.#numInside === 0) this.#onEmpty();
  }

  /** Refuses further requests; resolves when the last one inside has left. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#numInside === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }
}
