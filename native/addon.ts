// Loads the addon. No other file knows the addon's path.

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type {
  DecoderDescription,
  DecoderOptions,
  DecoderTrace,
  OpenedRowPool,
  RowCopy,
} from './decoder-contract.ts';
import type { CpuFeatures, DeviceDescription } from './device-contract.ts';
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
  ResizeRequest,
  RowPlace,
} from './encoder-contract.ts';
import { EngineError } from './engine-error.ts';
import type { TokenTrie, TokenTrieOptions } from './grammar-contract.ts';
import type { LoadedBytes } from './load-contract.ts';
import type { PackedOutputs } from './packed-outputs.ts';
import type { SharedPlace, SharedSegment } from './shared-memory-contract.ts';
import type { MediaRows, StepPlan, StepResult } from './step-plan.ts';

/**
 * A decoder as the addon returns it. Every method of a closed decoder rejects with `ENGINE_CLOSED`.
 */
export interface AddonDecoder {
  execute(plan: Omit<StepPlan, 'outputs'> & PackedOutputs): Promise<StepResult>;
  openRowPool(pool: OpenedRowPool): Promise<number>;
  closeRowPool(source: number): Promise<void>;
  copyRows(copy: RowCopy): Promise<void>;
  trace(request: {
    readonly tokenIds: Uint32Array;
    readonly positions: Int32Array;
    readonly mediaRows: readonly MediaRows[];
  }): Promise<DecoderTrace>;
  close(): Promise<void>;
}

/** An item that the addon encodes. */
export interface AddonTicket {
  /** Resolves to null if the item was cancelled. */
  readonly promise: Promise<EncodedItem | null>;
  cancel(): void;
}

/** An encoder as the addon returns it. */
export interface AddonEncoder {
  plan(facts: ItemFacts): ItemPlan;
  encode(items: readonly EncoderItem[]): readonly AddonTicket[];
  readRows(place: RowPlace): Promise<HostRows>;
  trace(item: EncoderItem | FeatureItem): Promise<EncoderTrace>;
  close(): Promise<void>;
}

/** A model that the addon loads. */
export interface AddonLoad<T> {
  readonly promise: Promise<T>;
  /** Says how far the load has come. */
  progress(): LoadedBytes;
}

export interface Addon {
  setErrorClass(errorClass: typeof EngineError): void;
  devices(): readonly DeviceDescription[];
  gpuRefusal(id: string): string | undefined;
  cpuFeatures(): CpuFeatures;
  loadDecoder(options: DecoderOptions): AddonLoad<{
    readonly decoder: AddonDecoder;
    readonly description: DecoderDescription;
  }>;
  loadEncoder(options: EncoderOptions): AddonLoad<{
    readonly encoder: AddonEncoder;
    readonly description: EncoderDescription;
  }>;
  resizeImage(request: ResizeRequest): Promise<Uint8Array>;
  limitSharing(maxBytes: number): void;
  sharedBytes(): number;
  shareBytes(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly shared: SharedSegment };
  mapShared(place: SharedPlace): Uint8Array;
  readonly TokenTrie: new (options: TokenTrieOptions) => TokenTrie;
}

let loaded: Addon | undefined;

/** Returns the addon; the first call loads it. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  const path = join(packageRoot(import.meta.dirname), 'build', 'native', 'autoglm.node');
  if (!existsSync(path)) {
    throw new EngineError('ENGINE_FAILED', `${path} does not exist: build it with "npm run build"`);
  }
  const found: unknown = createRequire(import.meta.url)(path);
  if (!isAddon(found)) {
    throw new EngineError('ENGINE_FAILED', `${path} is out of date: "npm run build" renews it`);
  }
  found.setErrorClass(EngineError);
  return found;
}

/**
 * Finds the nearest folder above with a package.json, the same one for sources and compiled files.
 */
function packageRoot(folder: string): string {
  const parent = dirname(folder);
  return existsSync(join(folder, 'package.json')) || parent === folder
    ? folder
    : packageRoot(parent);
}

function isAddon(value: unknown): value is Addon {
  const names = [
    'setErrorClass',
    'devices',
    'gpuRefusal',
    'cpuFeatures',
    'loadDecoder',
    'loadEncoder',
    'resizeImage',
    'limitSharing',
    'sharedBytes',
    'shareBytes',
    'mapShared',
    'TokenTrie',
  ];
  return (
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof Reflect.get(value, name) === 'function')
  );
}
