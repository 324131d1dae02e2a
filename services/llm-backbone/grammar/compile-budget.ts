import { TooComplex } from './grammar-refusal.ts';

/** Most states of the networks of all rules: repetitions are written out. */
const MAX_NETWORK_STATES = 400_000;
/** Most steps of making networks deterministic and of combining them: some tenths of a second. */
const MAX_WORK = 6_000_000;
/** Most states of all rules, or of one machine, and most entries of their table. */
const MAX_STATES = 40_000;
const MAX_ENTRIES = 6_000_000;

/** Bounds what one grammar may cost to compile; throws TooComplex. */
export class CompileBudget {
  #networkStates = MAX_NETWORK_STATES;
  #work = MAX_WORK;

  takeNetworkState(): void {
    if (this.#networkStates-- > 0) return;
    throw new TooComplex(
      `it has more than ${MAX_NETWORK_STATES} states; bound its repetitions lower`,
    );
  }

  spend(work: number): void {
    this.#work -= work;
    if (this.#work >= 0) return;
    throw new TooComplex('it takes too much work to compile; make it simpler or smaller');
  }

  /** Checks the size of a table of states by classes of bytes. */
  checkTable({
    numStates,
    numClasses,
  }: {
    readonly numStates: number;
    readonly numClasses: number;
  }) {
    if (numStates <= MAX_STATES && numStates * numClasses <= MAX_ENTRIES) return;
    throw new TooComplex(`it has more than ${MAX_STATES} states; bound its repetitions lower`);
  }
}
