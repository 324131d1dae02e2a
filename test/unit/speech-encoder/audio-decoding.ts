import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenedItem } from '#encoder/media-reader.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import type { DecodedAudio } from '#native';
import { createAudioFormat } from '#speech/audio-format.ts';
import { openAudio } from '#speech/open-audio.ts';

const FIXTURES = join(PACKAGE_ROOT, 'test/testdata/audio-formats');

/** Reads a recording of test/testdata. */
export function fixture(name: string): Buffer {
  return readFileSync(join(FIXTURES, name));
}

/** Way in which bytes reach the reader. */
export interface Delivery {
  readonly mediaType?: string;
  readonly maxAudioSeconds?: number;
  readonly chunkBytes?: number;
}

/** Makes a reader of a recording whose bytes have all arrived. */
export function readerOf(bytes: Uint8Array, delivery: Delivery = {}) {
  const { mediaType = '', maxAudioSeconds = 10, chunkBytes = 1000 } = delivery;
  const reader = createAudioFormat({ maxAudioSeconds }).begin({ mediaType, options: undefined });
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    reader.push(bytes.subarray(at, at + chunkBytes));
  }
  return reader;
}

/** Opens a recording in this process. */
export function openHere(bytes: Uint8Array, delivery: Delivery = {}): Promise<OpenedItem> {
  const { maxAudioSeconds = 10 } = delivery;
  return readerOf(bytes, delivery).open((file) => openAudio(file, { maxAudioSeconds }));
}

/** Decodes a recording; checks that its description is true. */
export async function decode(bytes: Uint8Array, delivery?: Delivery): Promise<DecodedAudio> {
  const opened = await openHere(bytes, delivery);
  const item = await opened.load();
  assert.ok(item.kind === 'audio' && opened.facts.kind === 'audio');
  assert.equal(opened.facts.numSamples, item.samples.length);
  assert.equal(opened.durationMs, Math.round((item.samples.length / item.sampleRateHz) * 1000));
  return item;
}
