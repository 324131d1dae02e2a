import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOWER_KEYS } from '#mesh/model/encoder-checkpoint.ts';

/** A kind of media that has encoders of its own. */
export type TowerModality = keyof typeof TOWER_KEYS;

/**
 * Tells whether a model has a tower for a kind of media; false if the model cannot be read, which
 * the backbone then reports.
 */
export function hasTower(modelDirectory: string, modality: TowerModality): boolean {
  const config = readConfig(modelDirectory);
  return typeof config === 'object' && config !== null && TOWER_KEYS[modality] in config;
}

function readConfig(modelDirectory: string): unknown {
  try {
    return JSON.parse(readFileSync(join(modelDirectory, 'config.json'), 'utf8'));
  } catch {
    return undefined;
  }
}
