import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';

/** Stands for every model that has no entry of its own. */
const ANY = '*';

/** Which model answers for one that cannot. */
export class FallbackModels {
  readonly #fallbacks: ReadonlyMap<string, string>;

  /** `entries` are `ASKED=FALLBACK`; throws INVALID_REQUEST at others. */
  constructor(entries: readonly string[]) {
    const pairs = entries.map(pairOf);
    this.#fallbacks = new Map(pairs);
    if (this.#fallbacks.size < pairs.length) throw refusal('names a model twice');
  }

  get isEmpty(): boolean {
    return this.#fallbacks.size === 0;
  }

  /** Tells whether a model has an entry of its own, so that its name is known. */
  names(model: string): boolean {
    return this.#fallbacks.has(model);
  }

  /** Returns the models to ask instead, in order: the fallback, its own fallback, and so on. */
  of(asked: string): string[] {
    const seen = new Set([asked]);
    let next = this.#next(asked);
    while (next !== undefined && !seen.has(next)) {
      seen.add(next);
      next = this.#next(next);
    }
    return [...seen].slice(1);
  }

  #next(model: string): string | undefined {
    return this.#fallbacks.get(model) ?? this.#fallbacks.get(ANY);
  }
}

function pairOf(entry: string): [string, string] {
  const [asked = '', fallback = '', ...rest] = entry.split('=').map((name) => name.trim());
  if (asked === '' || fallback === '' || fallback === ANY || rest.length > 0) {
    throw refusal(`must be ASKED=FALLBACK, such as big=small or *=small, got ${quoted(entry)}`);
  }
  if (asked === fallback) throw refusal(`lets ${quoted(asked)} answer for itself`);
  return [asked, fallback];
}

function refusal(problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `the key "fallback-model" ${problem}`, {
    param: 'fallbackModel',
  });
}
