import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TOWER_KEYS } from '#mesh/encoder-checkpoint.ts';

/** A kind of media with encoders of its own. */
export type TowerModality = keyof typeof TOWER_KEYS;

/** Whether a model has a tower for a kind of media. A model that cannot be read has none here: the backbone says why. */
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
