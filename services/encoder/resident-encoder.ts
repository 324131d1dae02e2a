import { abortable } from '#mesh/async/abortable.ts';
import type { Clock } from '#mesh/async/clock.ts';
import type { MediaEncoder } from '#native';
import { moveResidency, type Residency, type ResidencyEvent, UNLOADED } from './residency.ts';

export interface ResidentEncoderOptions {
  readonly load: () => Promise<MediaEncoder>;
  readonly clock: Clock;
  /** The tower is unloaded after this many milliseconds without use; Infinity: never. */
  readonly idleUnloadMs: number;
}

/** Keeps a tower in memory while it is used; see `moveResidency`. */
export class ResidentEncoder {
  readonly #options: ResidentEncoderOptions;
  #state: Residency = UNLOADED;
  #encoder: MediaEncoder | undefined;
  /** The load or unload that is under way. */
  #transition: Promise<void> = Promise.resolve();
  #callOff = () => {};

  constructor(options: ResidentEncoderOptions) {
    this.#options = options;
  }

  /** The tower if it is in memory. */
  get loaded(): MediaEncoder | undefined {
    return this.#encoder;
  }

  /** Runs `work` with the tower in memory; loads it first if necessary. */
  async use<T>(signal: AbortSignal, work: (encoder: MediaEncoder) => Promise<T>): Promise<T> {
    this.#apply({ kind: 'acquired' });
    try {
      return await work(await abortable(this.#inMemory(), signal));
    } finally {
      this.#apply({ kind: 'released', nowMs: this.#options.clock.now() });
    }
  }

  /** Frees the tower; call it after the last use. */
  async close(): Promise<void> {
    this.#callOff();
    // If a load failed, there is nothing to free.
    await this.#transition.catch(() => {});
    await this.#encoder?.close();
    this.#encoder = undefined;
  }

  async #inMemory(): Promise<MediaEncoder> {
    for (;;) {
      if (this.#encoder !== undefined) return this.#encoder;
      await this.#transition;
    }
  }

  #apply(event: ResidencyEvent): void {
    const { next, action } = moveResidency(this.#state, event, this.#options);
    this.#state = next;
    switch (action.kind) {
      case 'none':
        return;
      case 'set timer':
        this.#callOff();
        this.#callOff = this.#options.clock.after(action.ms, () =>
          this.#apply({ kind: 'timer', nowMs: this.#options.clock.now() }),
        );
        return;
      case 'load':
        this.#start(this.#load());
        return;
      case 'unload':
        this.#start(this.#unload());
    }
  }

  #start(transition: Promise<void>): void {
    this.#transition = transition;
    // Callers that wait see the failure; the handler keeps it from ending the process if there are
    // none.
    transition.catch(() => {});
  }

  async #load(): Promise<void> {
    try {
      this.#encoder = await this.#options.load();
    } catch (error: unknown) {
      this.#apply({ kind: 'load failed' });
      throw error;
    }
    this.#apply({ kind: 'loaded', nowMs: this.#options.clock.now() });
  }

  async #unload(): Promise<void> {
    const encoder = this.#encoder;
    this.#encoder = undefined;
    await encoder?.close();
    this.#apply({ kind: 'unloaded' });
  }
}
