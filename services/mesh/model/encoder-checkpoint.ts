import { basename, join, resolve } from 'node:path';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { fingerprint } from './fingerprint.ts';
import { readModelFile } from './model-file.ts';

/** Facts about a checkpoint's tower that are known before any weight is loaded. */
export interface EncoderCheckpoint {
  readonly modelId: string;
  readonly fingerprint: string;
  /** Width of an embedding row, which is that of the language model. */
  readonly hiddenSize: number;
  /** Type of the weights as config.json names it; '' if it does not. */
  readonly dtype: string;
}

/** Key of config.json under which each modality's tower is described. */
export const TOWER_KEYS = { image: 'vision_config', audio: 'audio_config' } as const;

/** Most MB of config.json. */
const MAX_CONFIG_MB = 64;

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
  const dtype = dtypeOf(config);
  return { modelId, fingerprint: await fingerprint(modelDirectory), hiddenSize, dtype };
}

/** Returns the type of the weights, which older configurations call torch_dtype. */
function dtypeOf(config: unknown): string {
  const found = ['dtype', 'torch_dtype'].map((key) => valueAt(config, key));
  return String(found.find((value) => typeof value === 'string') ?? '');
}

async function readConfig(modelDirectory: string): Promise<unknown> {
  const text = await readModelFile(join(modelDirectory, 'config.json'), MAX_CONFIG_MB);
  if (text === null) throw unusable(modelDirectory, 'config.json cannot be read: it is not there');
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw unusable(modelDirectory, `config.json cannot be read: ${why}`);
  }
}

function objectAt(parent: unknown, key: string): Readonly<Record<string, unknown>> | undefined {
  const value = valueAt(parent, key);
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.fromEntries(Object.entries(value));
}

function valueAt(parent: unknown, key: string): unknown {
  if (typeof parent !== 'object' || parent === null) return undefined;
  return Object.entries(parent).find(([name]) => name === key)?.[1];
}

function unusable(modelDirectory: string, why: string): MeshError {
  const message = `key "model": ${modelDirectory} cannot be served here: ${why}`;
  return new MeshError('INVALID_REQUEST', message, { param: 'model' });
}
