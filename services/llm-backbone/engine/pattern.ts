/**
 * A pattern to find in a sequence that comes unit by unit (Knuth, Morris and Pratt 1977). The cost
 * of a unit does not depend on how much of the pattern has matched; a fresh comparison would cost
 * the pattern's length.
 */
export class Pattern {
  readonly #units: ArrayLike<number>;
  /**
   * At i: the length of the longest proper prefix of the first i + 1 units that is also their
   * suffix.
   */
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

  /** Returns how many units of the pattern have matched after `unit` follows `matched` of them. */
  next(matched: number, unit: number): number {
    let length = matched;
    while (length > 0 && (length === this.length || unit !== this.#units[length])) {
      length = this.#borders[length - 1] ?? 0;
    }
    return length < this.length && unit === this.#units[length] ? length + 1 : length;
  }
}

const known = new WeakMap<readonly unknown[], readonly Pattern[]>();

/** Makes a pattern for each list, once: the choices of a request share its lists. */
export function sharedPatterns<T>(
  list: readonly T[],
  unitsOf: (one: T) => ArrayLike<number>,
): readonly Pattern[] {
  const patterns = known.get(list) ?? list.map((one) => new Pattern(unitsOf(one)));
  known.set(list, patterns);
  return patterns;
}
