/**
 * Finds many patterns in a sequence that comes unit by unit (Aho and Corasick 1975). The cost of a
 * unit depends neither on how long the patterns are nor on how much of them has matched. The state
 * is a number, so that all choices of a request share one automaton; 0 is the state before any unit.
 */
export class PatternAutomaton {
  #numStates = 1;
  /** The states after one unit. */
  readonly #roots = new Map<number, number>();
  /** By state: one of the states that follow it, and the next one that has the same parent. */
  readonly #firstChildren: Int32Array;
  readonly #siblings: Int32Array;
  /** By state: its last unit, and its number of units. */
  readonly #units: Int32Array;
  readonly #depths: Int32Array;
  /** By state: the longest other state that is a suffix of it. */
  readonly #suffixes: Int32Array;
  /** By state: the longest such suffix that ends a pattern; 0 if none but the root does. */
  readonly #endings: Int32Array;
  /** Indices of the patterns that end in a state. */
  readonly #ends = new Map<number, number[]>();

  constructor(patterns: readonly ArrayLike<number>[]) {
    const maxStates = patterns.reduce((sum, { length }) => sum + length, 1);
    const perState = () => new Int32Array(maxStates);
    this.#firstChildren = perState();
    this.#siblings = perState();
    this.#units = perState();
    this.#depths = perState();
    this.#suffixes = perState();
    this.#endings = perState();
    const parents = perState();
    for (const [index, pattern] of patterns.entries()) {
      let state = 0;
      for (let i = 0; i < pattern.length; i++) {
        const unit = pattern[i] ?? 0;
        const known = this.#child(state, unit);
        const next = known === 0 ? this.#addChild(state, unit) : known;
        parents[next] = state;
        state = next;
      }
      const ends = this.#ends.get(state);
      if (ends === undefined) this.#ends.set(state, [index]);
      else ends.push(index);
    }
    this.#link(parents);
  }

  #addChild(parent: number, unit: number): number {
    const state = this.#numStates++;
    this.#units[state] = unit;
    this.#depths[state] = this.depth(parent) + 1;
    this.#siblings[state] = this.#firstChildren[parent] ?? 0;
    this.#firstChildren[parent] = state;
    if (parent === 0) this.#roots.set(unit, state);
    return state;
  }

  /** Links each state to its suffixes, short states first. */
  #link(parents: Int32Array): void {
    const levels: number[][] = [];
    for (let state = 1; state < this.#numStates; state++) {
      const depth = this.depth(state);
      const level = levels[depth] ?? [];
      level.push(state);
      levels[depth] = level;
    }
    for (const state of levels.flat()) {
      const parent = parents[state] ?? 0;
      const unit = this.#units[state] ?? 0;
      const suffix = parent === 0 ? 0 : this.next(this.#suffixes[parent] ?? 0, unit);
      this.#suffixes[state] = suffix;
      this.#endings[state] = this.#ends.has(suffix) ? suffix : (this.#endings[suffix] ?? 0);
    }
  }

  /** Returns the state that follows with a unit; 0 if none does. */
  #child(state: number, unit: number): number {
    if (state === 0) return this.#roots.get(unit) ?? 0;
    let child = this.#firstChildren[state] ?? 0;
    while (child !== 0 && this.#units[child] !== unit) child = this.#siblings[child] ?? 0;
    return child;
  }

  /** Returns the state after a unit. */
  next(state: number, unit: number): number {
    for (let from = state; ; from = this.#suffixes[from] ?? 0) {
      const to = this.#child(from, unit);
      if (to !== 0 || from === 0) return to;
    }
  }

  /** Returns the length of the longest beginning of a pattern that the units end in. */
  depth(state: number): number {
    return this.#depths[state] ?? 0;
  }

  /** Calls `visit` with each pattern that the units end in, longest first, empty ones last. */
  forEachEnd(state: number, visit: (pattern: number) => void): void {
    for (let at = state; at !== 0; at = this.#endings[at] ?? 0) this.#visit(at, visit);
    this.#visit(0, visit);
  }

  #visit(state: number, visit: (pattern: number) => void): void {
    for (const pattern of this.#ends.get(state) ?? []) visit(pattern);
  }
}

const known = new WeakMap<readonly unknown[], PatternAutomaton>();

/** Makes the automaton of a list once: the choices of a request share its lists. */
export function sharedAutomaton<T>(
  list: readonly T[],
  unitsOf: (one: T) => ArrayLike<number>,
): PatternAutomaton {
  const automaton = known.get(list) ?? new PatternAutomaton(list.map(unitsOf));
  known.set(list, automaton);
  return automaton;
}
