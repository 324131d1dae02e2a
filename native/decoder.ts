// Wraps the addon's decoder for services: adds types, defaults and a description.

import { type AddonDecoder, addon } from './addon.ts';
import type {
  Decoder,
  DecoderDescription,
  DecoderOptions,
  DecoderTrace,
  OpenedRowPool,
  RowCopy,
} from './decoder-contract.ts';
import type { WatchLoad } from './load-contract.ts';
import { packOutputs } from './packed-outputs.ts';
import type { MediaRows, StepPlan, StepResult } from './step-plan.ts';

class NativeDecoder implements Decoder {
  readonly description: DecoderDescription;
  readonly #decoder: AddonDecoder;
  #closed: Promise<void> | undefined;

  constructor(decoder: AddonDecoder, description: DecoderDescription) {
    this.#decoder = decoder;
    this.description = description;
  }

  async execute({ outputs, ...plan }: StepPlan): Promise<StepResult> {
    return this.#decoder.execute({ ...plan, ...packOutputs(outputs) });
  }

  openRowPool(pool: OpenedRowPool): Promise<number> {
    return this.#decoder.openRowPool(pool);
  }

  closeRowPool(source: number): Promise<void> {
    return this.#decoder.closeRowPool(source);
  }

  copyRows(copy: RowCopy): Promise<void> {
    return this.#decoder.copyRows(copy);
  }

  trace(
    tokenIds: Uint32Array,
    positions: Int32Array = textPositions(tokenIds.length),
    mediaRows: readonly MediaRows[] = [],
  ): Promise<DecoderTrace> {
    return this.#decoder.trace({ tokenIds, positions, mediaRows });
  }

  close(): Promise<void> {
    this.#closed ??= this.#decoder.close();
    return this.#closed;
  }
}

/**
 * Returns the positions `[3, numTokens]` of a text prompt: the index of each token on all three
 * axes.
 */
function textPositions(numTokens: number): Int32Array {
  return Int32Array.from({ length: 3 * numTokens }, (_, i) => i % numTokens);
}

/** Loads a decoder on its own thread; rejects with an `EngineError` that names the reason. */
export async function loadDecoder(
  options: DecoderOptions,
  watch: WatchLoad = () => {},
): Promise<Decoder> {
  const load = addon().loadDecoder(options);
  watch(() => load.progress());
  const { decoder, description } = await load.promise;
  return new NativeDecoder(decoder, description);
}
