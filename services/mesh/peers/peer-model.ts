import assert from 'node:assert/strict';

/** When a peer was asked what it serves; the answer stands until one of these has changed. */
export interface Occasion {
  /** Outages of the peer so far. */
  readonly numOutages: number;
  /** The facts that decide what it serves, as text. */
  readonly facts: string;
}

export interface PeerModelOptions<Model> {
  readonly describe: (signal: AbortSignal) => Promise<Model>;
  readonly mismatch: ((model: Model) => string | undefined) | undefined;
}

/** What a peer serves by its own description, and on which occasion it said so. */
export class PeerModel<Model> {
  readonly #options: PeerModelOptions<Model>;
  #occasion: Occasion | undefined;
  #isAsking = false;
  #model: Model | undefined;
  #mismatch: string | undefined;

  constructor(options: PeerModelOptions<Model>) {
    this.#options = options;
  }

  /** As it was described last. */
  get model(): Model | undefined {
    return this.#model;
  }

  /** Why a peer with this model must not be asked, if so. */
  get mismatch(): string | undefined {
    return this.#mismatch;
  }

  /** Whether the description has been given since the last outage; other facts may make it stale. */
  isSince({ numOutages }: Occasion): boolean {
    return this.#occasion?.numOutages === numOutages;
  }

  isOf(occasion: Occasion): boolean {
    return this.isSince(occasion) && this.#occasion?.facts === occasion.facts;
  }

  /** A question is under way; another one must wait for its answer. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  /** Asks the peer; until the answer the last description stands. */
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
