import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Type from 'typebox';
import Value from 'typebox/value';
import { TOWER_KEYS } from '#mesh/model/encoder-checkpoint.ts';

/** A kind of media that has encoders of its own. */
export type TowerModality = keyof typeof TOWER_KEYS;

/** Numbers of heads of a decoder, which decide how many devices can share it. */
export interface DecoderHeads {
  readonly numHeads: number;
  readonly numKvHeads: number;
}

/**
 * Tells whether a model has a tower for a kind of media; false if the model cannot be read, which
 * the backbone then reports.
 */
export function hasTower(modelDirectory: string, modality: TowerModality): boolean {
  const config = readConfig(modelDirectory);
  return typeof config === 'object' && config !== null && TOWER_KEYS[modality] in config;
}

/**
 * Returns the numbers of heads of a model's decoder; undefined if the model cannot be read or does not
 * say them.
 */
export function headsOf(modelDirectory: string): DecoderHeads | undefined {
  const config = readConfig(modelDirectory);
  if (!Value.Check(decoderSchema, config)) return undefined;
  const text = config.text_config ?? config;
  const { num_attention_heads: numHeads, num_key_value_heads: numKvHeads = numHeads } = text;
  return numHeads === undefined || numKvHeads === undefined ? undefined : { numHeads, numKvHeads };
}

const headFields = {
  num_attention_heads: Type.Optional(Type.Integer({ minimum: 1 })),
  num_key_value_heads: Type.Optional(Type.Integer({ minimum: 1 })),
};

const decoderSchema = Type.Object({
  ...headFields,
  text_config: Type.Optional(Type.Object(headFields)),
});

function readConfig(modelDirectory: string): unknown {
  try {
    return JSON.parse(readFileSync(join(modelDirectory, 'config.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
