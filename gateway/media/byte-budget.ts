import { MeshError } from '#mesh/errors.ts';
import { mbOf } from '#mesh/megabytes.ts';

export interface ByteLimits {
  readonly maxItemBytes: number;
  readonly maxTotalBytes: number;
}

/** Counts bytes of a request in the memory of all requests; throws QUEUE_FULL at too many. */
export type HoldBytes = (numBytes: number) => void;

/** The bytes that one request may still load, shared by its items while they load in parallel. */
export class ByteBudget {
  readonly #limits: ByteLimits;
  #totalBytes = 0;

  constructor(limits: ByteLimits) {
    this.#limits = limits;
  }

  /**
   * Returns the account of one item; `param` names it in a refusal. `hold` is told of its bytes if
   * they are memory of their own.
   */
  item(param: string, hold: HoldBytes = () => {}): ItemBudget {
    let itemBytes = 0;
    return {
      maxBytes: this.#limits.maxItemBytes,
      take: (numBytes) => {
        itemBytes += numBytes;
        this.#totalBytes += numBytes;
        if (itemBytes > this.#limits.maxItemBytes) throw itemTooLarge(this.#limits, param);
        if (this.#totalBytes > this.#limits.maxTotalBytes) throw totalTooLarge(this.#limits, param);
        hold(numBytes);
      },
      refuse: () => itemTooLarge(this.#limits, param),
    };
  }
}

export interface ItemBudget {
  readonly maxBytes: number;
  /** Counts bytes as they come; throws at the first byte over a budget. */
  take(numBytes: number): void;
  /** Returns the refusal of an item that is known to be too large before its bytes came. */
  refuse(): MeshError;
}

function itemTooLarge({ maxItemBytes }: ByteLimits, param: string): MeshError {
  const message = `${param} is larger than the ${mbOf(maxItemBytes)} MB a media item may have`;
  return new MeshError('PAYLOAD_TOO_LARGE', message, { param });
}

function totalTooLarge({ maxTotalBytes }: ByteLimits, param: string): MeshError {
  const message = `${param}: the media of one request may have ${mbOf(maxTotalBytes)} MB together`;
  return new MeshError('PAYLOAD_TOO_LARGE', message, { param });
}
