import assert from 'node:assert/strict';

/**
 * The state in which a peer was asked for its model; the answer is valid until one of these
 * changes.
 */
export interface Occasion {
  /** Outages of the peer so far. */
  readonly numOutages: number;
  /** The facts that decide the peer's model, as text. */
  readonly facts: string;
}

export interface PeerModelOptions<Model> {
  readonly describe: (signal: AbortSignal) => Promise<Model>;
  readonly mismatch: ((model: Model) => string | undefined) | undefined;
}

/** The model that a peer described, and the occasion on which it did. */
export class PeerModel<Model> {
  readonly #options: PeerModelOptions<Model>;
  #occasion: Occasion | undefined;
  #isAsking = false;
  #model: Model | undefined;
  #mismatch: string | undefined;

  constructor(options: PeerModelOptions<Model>) {
    this.#options = options;
  }

  /** The model as it was last described. */
  get model(): Model | undefined {
    return this.#model;
  }

  /** Why a peer with this model must not be asked; undefined if it may be. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  /**
   * Tells whether the description came after the last outage; changed facts may still make it
   * stale.
   */
  isSince({ numOutages }: Occasion): boolean {
    return this.#occasion?.numOutages === numOutages;
  }

  isOf(occasion: Occasion): boolean {
    return this.isSince(occasion) && this.#occasion?.facts === occasion.facts;
  }

  /** Tells whether a question is under way; another one must wait for its answer. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** Asks the peer; the last description stays valid until the answer. */
  async ask(occasion: Occasion, signal: AbortSignal): Promise<void> {
    assert(!this.#isAsking);
    this.#isAsking = true;
    try {
      const model = await this.#options.describe(signal);
      this.#model = model;
      this.#mismatch = this.#options.mismatch?.(model);
      this.#occasion = occasion;
    } finally {
      this.#isAsking = false;
    }
  }
}
