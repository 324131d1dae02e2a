/** Answers of one group of questions. */
interface Count {
  asked: number;
  right: number;
}

/** Percentage of right answers by group. */
export type Accuracies = Readonly<Record<string, number>>;

/** Counts right answers by group. */
export class Tally {
  readonly #counts = new Map<string, Count>();

  add(group: string, { isRight }: { readonly isRight: boolean }): void {
    const count = this.#counts.get(group) ?? { asked: 0, right: 0 };
    count.asked += 1;
    count.right += Number(isRight);
    this.#counts.set(group, count);
  }

  /** Number of questions of all groups. */
  get total(): number {
    return [...this.#counts.values()].reduce((sum, { asked }) => sum + asked, 0);
  }

  counts(group: string): Readonly<Count> {
    return this.#counts.get(group) ?? { asked: 0, right: 0 };
  }

  /** Returns true if every group is at most `points` percentage points below the reference. */
  isWithin(reference: Accuracies, points: number): boolean {
    return Object.entries(reference).every(
      ([group, percent]) => accuracy(this.counts(group)) >= percent - points,
    );
  }
}

/** Formats one line per group: right answers beside the reference's. */
export function formatTally(tally: Tally, reference: Accuracies): string {
  const lines = Object.entries(reference).map(([group, percent]) => {
    const count = tally.counts(group);
    const share = `${accuracy(count).toFixed(1).padStart(5)} %`;
    const parts = `${count.right} of ${count.asked}`;
    return `${group.padEnd(10)} ${share}  (${parts}; reference ${percent.toFixed(1)} %)`;
  });
  return lines.join('\n');
}

/** Returns the percentage of right answers; 0 if nothing was asked. */
function accuracy({ asked, right }: Readonly<Count>): number {
  return asked === 0 ? 0 : (100 * right) / asked;
}
