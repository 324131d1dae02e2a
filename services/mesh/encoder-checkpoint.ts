import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { MeshError } from './errors.ts';
import { fingerprint } from './fingerprint.ts';

/** Facts about a checkpoint's tower that are known before any weight is loaded. */
export interface EncoderCheckpoint {
  readonly modelId: string;
  readonly fingerprint: string;
  /** Width of an embedding row, which is that of the language model. */
  readonly hiddenSize: number;
}

/** Key of config.json under which each modality's tower is described. */
export const TOWER_KEYS = { image: 'vision_config', audio: 'audio_config' } as const;

/** Reads the checkpoint; refuses a model directory without the tower of a modality. */
export async function readEncoderCheckpoint(
  modelDirectory: string,
  modality: keyof typeof TOWER_KEYS,
): Promise<EncoderCheckpoint> {
  const config = await readConfig(modelDirectory);
  const key = TOWER_KEYS[modality];
  if (objectAt(config, key) === undefined) {
    throw unusable(modelDirectory, `config.json has no "${key}": the model has no such tower`);
  }
  const hiddenSize = objectAt(config, 'text_config')?.['hidden_size'];
  if (typeof hiddenSize !== 'number' || !Number.isInteger(hiddenSize) || hiddenSize < 1) {
    throw unusable(modelDirectory, 'config.json has no "text_config.hidden_size"');
  }
  const modelId = basename(resolve(modelDirectory));
  return { modelId, fingerprint: await fingerprint(modelDirectory), hiddenSize };
}

async function readConfig(modelDirectory: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(modelDirectory, 'config.json'), 'utf8'));
  } catch (cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw unusable(modelDirectory, `config.json cannot be read: ${why}`);
  }
}

function objectAt(parent: unknown, key: string): Readonly<Record<string, unknown>> | undefined {
  if (typeof parent !== 'object' || parent === null) return undefined;
  const value: unknown = Object.entries(parent).find(([name]) => name === key)?.[1];
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.fromEntries(Object.entries(value));
}

function unusable(modelDirectory: string, why: string): MeshError {
  const message = `key "model": ${modelDirectory} cannot be served here: ${why}`;
  return new MeshError('INVALID_REQUEST', message, { param: 'model' });
}
