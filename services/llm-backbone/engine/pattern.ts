/**
 * What a sequence that comes unit by unit is watched for (Knuth, Morris and Pratt 1977): a unit costs
 * the same however much of the pattern has matched, where comparing anew costs its length.
 */
export class Pattern {
  readonly #units: ArrayLike<number>;
  /** Of the first i + 1 units: how many are both their end and their beginning, all of them aside. */
  readonly #borders: Int32Array;

  constructor(units: ArrayLike<number>) {
    this.#units = units;
    this.#borders = new Int32Array(units.length);
    for (let i = 1; i < units.length; i++) {
      this.#borders[i] = this.next(this.#borders[i - 1] ?? 0, units[i] ?? 0);
    }
  }

  get length(): number {
    return this.#units.length;
  }

  /** How many units from the pattern's beginning have matched once `unit` follows `matched` of them. */
  next(matched: number, unit: number): number {
    let length = matched;
    while (length > 0 && (length === this.length || unit !== this.#units[length])) {
      length = this.#borders[length - 1] ?? 0;
    }
    return length < this.length && unit === this.#units[length] ? length + 1 : length;
  }
}

const known = new WeakMap<readonly unknown[], readonly Pattern[]>();

/** A pattern for each of a list, made once: the choices of a request share its lists. */
export function sharedPatterns<T>(
  list: readonly T[],
  unitsOf: (one: T) => ArrayLike<number>,
): readonly Pattern[] {
  const patterns = known.get(list) ?? list.map((one) => new Pattern(unitsOf(one)));
  known.set(list, patterns);
  return patterns;
}
