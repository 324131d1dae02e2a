/**
 * Distinct token ids, each with the number of times it was added, as typed arrays that grow in
 * place.
 */
export class CountedIds {
  readonly #indices = new Map<number, number>();
  #ids = new Uint32Array(64);
  #counts = new Uint32Array(64);

  /** Distinct ids `[num_distinct]`, in order of first appearance. */
  get ids(): Uint32Array {
    return this.#ids.subarray(0, this.#indices.size);
  }

  /** Counts `[num_distinct]`, in the order of `ids`. */
  get counts(): Uint32Array {
    return this.#counts.subarray(0, this.#indices.size);
  }

  add(id: number): void {
    const known = this.#indices.get(id);
    if (known !== undefined) {
      this.#counts[known] = (this.#counts[known] ?? 0) + 1;
      return;
    }
    const index = this.#indices.size;
    if (index === this.#ids.length) this.#grow();
    this.#indices.set(id, index);
    this.#ids[index] = id;
    this.#counts[index] = 1;
  }

  /** Returns copies of `ids` and `counts` as they would be if `more` were added. */
  withMore(more: readonly number[]): Pick<CountedIds, 'ids' | 'counts'> {
    const unknown = [...new Set(more)].filter((id) => !this.#indices.has(id));
    const numDistinct = this.#indices.size + unknown.length;
    const ids = new Uint32Array(numDistinct);
    const counts = new Uint32Array(numDistinct);
    ids.set(this.ids);
    ids.set(unknown, this.#indices.size);
    counts.set(this.counts);
    for (const id of more) {
      const index = this.#indices.get(id) ?? this.#indices.size + unknown.indexOf(id);
      counts[index] = (counts[index] ?? 0) + 1;
    }
    return { ids, counts };
  }

  #grow(): void {
    const ids = new Uint32Array(2 * this.#ids.length);
    const counts = new Uint32Array(2 * this.#counts.length);
    ids.set(this.#ids);
    counts.set(this.#counts);
    this.#ids = ids;
    this.#counts = counts;
  }
}
