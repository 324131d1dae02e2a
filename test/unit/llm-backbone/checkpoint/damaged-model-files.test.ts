import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { readModelFiles } from '#backbone/checkpoint/model-files.ts';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { MeshError } from '#mesh/errors.ts';
import { readEncoderCheckpoint } from '#mesh/model/encoder-checkpoint.ts';
import { fingerprint } from '#mesh/model/fingerprint.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { EngineError, loadDecoder, loadEncoder } from '#native';
import { checkMutants, type Specimen } from '#test/mutations.ts';

const MODEL = join(PACKAGE_ROOT, 'test/testdata/glm4v-tiny');

/** A copy of a small model, of which one file is replaced at a time. */
const folder = mkdtempSync(join(tmpdir(), 'damaged-model-'));
cpSync(MODEL, folder, { recursive: true });
after(() => rmSync(folder, { recursive: true }));

/** Reads a JSON file of the model as a specimen; its marks are the ends of names and values. */
function specimen(name: string): Specimen {
  const bytes = readFileSync(join(MODEL, name));
  const marks = [...bytes.entries()].flatMap(([at, byte]) => (byte === 0x3a ? [at] : []));
  return { name, bytes, marks: marks.slice(0, 40) };
}

/** Returns true if the reading succeeds, false if it refuses in our words. */
async function isRead(reading: () => Promise<unknown>): Promise<boolean> {
  try {
    await reading();
    return true;
  } catch (error: unknown) {
    if (error instanceof EngineError) assert.notEqual(error.message, '');
    else assert(error instanceof MeshError, String(error));
    return false;
  }
}

/** Replaces a file by its mutants; some must be readable by every reader, and some by none. */
async function survive(
  name: string,
  numRandom: number,
  readings: readonly (() => Promise<unknown>)[],
): Promise<void> {
  const outcomes = { numRead: 0, numRefused: 0 };
  for (const reading of readings) assert(await isRead(reading), 'the model itself is refused');
  await checkMutants([specimen(name)], numRandom, async (bytes) => {
    writeFileSync(join(folder, name), bytes);
    for (const reading of readings) {
      if (await isRead(reading)) outcomes.numRead += 1;
      else outcomes.numRefused += 1;
    }
  });
  cpSync(join(MODEL, name), join(folder, name));
  assert(outcomes.numRead > 0 && outcomes.numRefused > 0, JSON.stringify(outcomes));
}

async function decoder(): Promise<void> {
  const loaded = await loadDecoder({
    model: { directory: folder },
    device: 'cpu:0',
    weightDtype: 'auto',
    activationDtype: 'float32',
    blockSize: 16,
    kvCacheBytes: 1 << 20,
    maxNumBatchedTokens: 16,
  });
  await loaded.close();
}

async function encoder(): Promise<void> {
  const loaded = await loadEncoder({
    modelDirectory: folder,
    device: 'cpu:0',
    modality: 'image',
    weightDtype: 'auto',
  });
  await loaded.close();
}

describe('a damaged file of a model is read or refused', () => {
  it('config.json', async () => {
    await survive('config.json', 120, [
      () => readModelFiles(folder, undefined),
      () => readEncoderCheckpoint(folder, 'image'),
      decoder,
      encoder,
    ]);
  });

  it('preprocessor_config.json', () => survive('preprocessor_config.json', 150, [encoder]));

  it('tokenizer.json and tokenizer_config.json', async () => {
    await survive('tokenizer.json', 60, [() => Tokenizer.load(folder)]);
    await survive('tokenizer_config.json', 100, [() => readModelFiles(folder, undefined)]);
  });

  it('generation_config.json', () =>
    survive('generation_config.json', 100, [() => readModelFiles(folder, undefined)]));

  it('model.safetensors', async () => {
    await survive('model.safetensors', 60, [() => fingerprint(folder), decoder]);
  });
});
