import { constants } from 'node:fs';
import { access, open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkIsNoGitLfsPointer, isWeightFile } from './model-file.ts';

/** Parts that a process reads of a model directory besides config.json and the weights. */
export interface WantedParts {
  readonly tokenizer: boolean;
}

/** Bytes of a file that tell whether it is what its name says. */
const BEGINNING_BYTES = 64;

/** `ORG/NAME`, as models are named on the Hugging Face hub. */
const HUB_NAME = /^[A-Za-z0-9][\w.-]*\/[\w.-]+$/;

/**
 * Refuses, before anything is loaded, a directory that cannot be a model, and says what it lacks
 * and how to get it.
 */
export async function checkModelDirectory(path: string, wanted: WantedParts): Promise<void> {
  const names = await listDirectory(path);
  if (!names.includes('config.json')) throw unusable(path, withoutConfig(names));
  const shards = names.filter(isWeightFile);
  if (shards.length === 0) throw unusable(path, withoutWeights(names));
  const tokenizer = wanted.tokenizer ? ['tokenizer.json'] : [];
  if (wanted.tokenizer && !names.includes('tokenizer.json')) {
    const others = 'tokenizer.model and vocab.json are not read; transformers can save it as one';
    throw unusable(path, `there is no tokenizer.json (${others})`);
  }
  for (const name of ['config.json', ...tokenizer, ...shards]) await checkFile(join(path, name));
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (cause: unknown) {
    switch (codeOf(cause)) {
      case 'ENOENT':
        throw unusable(path, `it does not exist${await hubHint(path)}`);
      case 'ENOTDIR':
        throw unusable(path, `it is a file; name the directory it lies in, ${dirname(path)}`);
      default:
        throw unusable(path, `it cannot be read: ${errorMessage(cause)}`);
    }
  }
}

/** Tells how to get a model by a name of the hub, if the path may be one. */
async function hubHint(path: string): Promise<string> {
  // A path of a configuration file has been made absolute; its parent then does not exist either.
  const name = isAbsolute(path) ? `${basename(dirname(path))}/${basename(path)}` : path;
  const hasParent = await stat(dirname(path)).catch(() => undefined);
  if (hasParent !== undefined || !HUB_NAME.test(name)) return '';
  const command = `hf download ${name} --local-dir ${basename(name)}`;
  return `, and models are not downloaded; if this names one on Hugging Face, "${command}" gets it, then --model ${basename(name)}`;
}

function withoutConfig(names: readonly string[]): string {
  if (names.length === 0) return 'it is empty';
  if (names.includes('snapshots')) {
    return 'it is a cache of the Hugging Face hub; name the directory below its "snapshots"';
  }
  if (names.some((name) => name.endsWith('.gguf'))) return ONLY_SAFETENSORS;
  return 'there is no config.json; is it a model directory?';
}

const ONLY_SAFETENSORS = 'weights are read from model*.safetensors files only';

function withoutWeights(names: readonly string[]): string {
  const others = names.filter((name) => /\.(safetensors|bin|pt|pth|gguf)$/.test(name));
  const found = others.length === 0 ? '' : `, found ${others.slice(0, 3).join(', ')}`;
  return `${ONLY_SAFETENSORS}${found}${found === '' ? ', and there is none' : ''}`;
}

async function checkFile(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (cause: unknown) {
    throw unusable(path, `it cannot be read: ${errorMessage(cause)}`);
  }
  const file = await open(path);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(BEGINNING_BYTES));
    if (bytesRead === 0) throw unusable(path, 'the file is empty');
    checkIsNoGitLfsPointer(path, buffer.toString('latin1'));
  } finally {
    await file.close();
  }
}

function unusable(path: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `key "model": ${path}: ${why}`, { param: 'model' });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
