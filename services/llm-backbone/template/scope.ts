import { Undefined, type Value } from './value.ts';

/** Work between two looks at the clock, in characters that were made. */
const WORK_BETWEEN_LOOKS = 65_536;
/** What a step costs beside the characters that it makes. */
const STEP_COST = 256;

/** Bounds the work of one rendering. */
export interface RenderLimits {
  /** Most characters of a text. */
  readonly maxChars: number;
  /** Monotonic time at which rendering ends, milliseconds. */
  readonly deadlineMs: number;
  readonly now: () => number;
}

/** Thrown when a rendering reaches a limit. */
export class LimitReached extends Error {
  readonly limit: 'chars' | 'time';

  constructor(limit: LimitReached['limit']) {
    super(`the rendering reached its limit of ${limit}`);
    this.limit = limit;
  }
}

/** Counts the work of one rendering; throws at its limits. */
export class Work {
  readonly #limits: RenderLimits;
  #sinceLook = 0;

  constructor(limits: RenderLimits) {
    this.#limits = limits;
  }

  /** Counts a statement, a turn of a loop or a call. */
  step(): void {
    this.#spend(STEP_COST);
  }

  /** Counts a text that was made. */
  made(numChars: number): void {
    if (numChars > this.#limits.maxChars) throw new LimitReached('chars');
    this.#spend(numChars);
  }

  #spend(cost: number): void {
    this.#sinceLook += cost;
    if (this.#sinceLook < WORK_BETWEEN_LOOKS) return;
    this.#sinceLook = 0;
    if (this.#limits.now() > this.#limits.deadlineMs) throw new LimitReached('time');
  }
}

/** The names that a part of a template sees. */
export class Scope {
  readonly work: Work;
  readonly #names: Map<string, Value>;
  readonly #parent: Scope | undefined;

  private constructor(work: Work, names: Map<string, Value>, parent?: Scope) {
    this.work = work;
    this.#names = names;
    this.#parent = parent;
  }

  static root(work: Work, names: ReadonlyMap<string, Value>): Scope {
    return new Scope(work, new Map(names));
  }

  /** Makes a scope within this one, whose own names end with it. */
  inner(): Scope {
    return new Scope(this.work, new Map(), this);
  }

  set(name: string, value: Value): void {
    this.#names.set(name, value);
  }

  get(name: string): Value {
    for (let scope: Scope | undefined = this; scope !== undefined; scope = scope.#parent) {
      const value = scope.#names.get(name);
      if (value !== undefined) return value;
    }
    return new Undefined(name);
  }
}
