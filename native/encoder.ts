// Wraps the addon's encoder for services: an item's promise rejects when its signal is aborted.

import { type AddonEncoder, type AddonTicket, addon } from './addon.ts';
import type {
  EncodedItem,
  EncoderDescription,
  EncoderItem,
  EncoderOptions,
  EncoderTrace,
  FeatureItem,
  HostRows,
  ItemFacts,
  ItemPlan,
  LoadedEncoder,
  RowPlace,
} from './encoder-contract.ts';
import type { WatchLoad } from './load-contract.ts';

class NativeEncoder implements LoadedEncoder {
  readonly description: EncoderDescription;
  readonly #encoder: AddonEncoder;
  #closed: Promise<void> | undefined;

  constructor(encoder: AddonEncoder, description: EncoderDescription) {
    this.#encoder = encoder;
    this.description = description;
  }

  plan(facts: ItemFacts): ItemPlan {
    return this.#encoder.plan(facts);
  }

  encode(
    items: readonly EncoderItem[],
    options: { readonly signals?: readonly (AbortSignal | undefined)[] } = {},
  ): readonly Promise<EncodedItem>[] {
    return this.#encoder
      .encode(items)
      .map((ticket, index) => settle(ticket, options.signals?.[index]));
  }

  readRows(place: RowPlace): Promise<HostRows> {
    return this.#encoder.readRows(place);
  }

  trace(item: EncoderItem | FeatureItem): Promise<EncoderTrace> {
    return this.#encoder.trace(item);
  }

  close(): Promise<void> {
    this.#closed ??= this.#encoder.close();
    return this.#closed;
  }
}

/** Resolves to the item's result, or rejects with the signal's reason as soon as it is aborted. */
function settle(ticket: AddonTicket, signal: AbortSignal | undefined): Promise<EncodedItem> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      ticket.cancel();
      reject(signal?.reason);
    };
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
    ticket.promise.then(
      (encoded) => {
        signal?.removeEventListener('abort', abort);
        // The value is null only for a cancelled item, whose promise is settled.
        if (encoded !== null) resolve(encoded);
      },
      (error: unknown) => {
        signal?.removeEventListener('abort', abort);
        reject(error);
      },
    );
  });
}

/** Loads an encoder on its own thread; rejects with an `EngineError` that names the reason. */
export async function loadEncoder(
  options: EncoderOptions,
  watch: WatchLoad = () => {},
): Promise<LoadedEncoder> {
  const load = addon().loadEncoder(options);
  watch(() => load.progress());
  const { encoder, description } = await load.promise;
  return new NativeEncoder(encoder, description);
}
