/** Looks at pages of metrics again and again, and tells which families have moved. */
export class MetricWatch {
  /** First value of every sample, by its text without the value. */
  readonly #first = new Map<string, string>();
  readonly #moved = new Set<string>();
  readonly #names = new Set<string>();
  #numLooks = 0;

  /** Families seen, without those that repeat others under vLLM's names. */
  get names(): readonly string[] {
    return this.allNames.filter((name) => !name.startsWith('vllm:'));
  }

  get allNames(): readonly string[] {
    return [...this.#names];
  }

  hasMoved(name: string): boolean {
    return this.#moved.has(name);
  }

  /** Takes a page in the text form of Prometheus. */
  look(page: string): void {
    let name = '';
    for (const line of page.split('\n')) {
      const [, type] = /^# TYPE (\S+) /.exec(line) ?? [];
      if (type !== undefined) {
        name = type;
        this.#names.add(name);
      } else if (line !== '' && !line.startsWith('#')) {
        this.#sample(name, line);
      }
    }
    this.#numLooks += 1;
  }

  /** A sample that comes later has moved from nothing, unless it begins at 0. */
  #sample(name: string, line: string): void {
    const end = line.lastIndexOf(' ');
    const [series, value] = [line.slice(0, end), line.slice(end + 1)];
    const first = this.#first.get(series) ?? (this.#numLooks === 0 ? value : '0');
    if (!this.#first.has(series)) this.#first.set(series, first);
    if (value !== first) this.#moved.add(name);
  }
}
