/** A member's place; `member` is unset once it has left. */
interface Place<T> {
  index: number;
  member: T | undefined;
}

/**
 * The members of a group that come and go with requests, in no order.
 *
 * A Set or a Map would keep them longer than anyone wants them: when V8 gives one a new table, it leaves
 * the members of the former in it, and a pointer to the next. Once such a table has become old, all later
 * ones survive every collection of young objects, and so does whoever was in them with all that it
 * refers to, until the next full one.
 */
export class Roster<T> {
  readonly #places: Place<T>[] = [];

  get size(): number {
    return this.#places.length;
  }

  /** Adds a member; returns a function that takes it out. */
  add(member: T): () => void {
    const place: Place<T> = { index: this.#places.length, member };
    this.#places.push(place);
    return () => this.#leave(place);
  }

  /** Returns the members of this moment, which may leave while the caller goes through them. */
  members(): T[] {
    return this.#places.map(({ member }) => member).filter((one) => one !== undefined);
  }

  /** Gives a place to the last member, so that the others keep theirs. */
  #leave(place: Place<T>): void {
    if (place.member === undefined) return;
    place.member = undefined;
    const last = this.#places.pop();
    if (last === undefined || last === place) return;
    last.index = place.index;
    this.#places[place.index] = last;
  }
}
