// `npm run parity -- DIR…`: compares the results for model directories with those of the reference
// implementation. The layout is that of test/testdata: a checkpoint with golden.safetensors and
// golden.json.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cpuFeatures, type Decoder } from '#native';
import { ARITHMETICS, type Arithmetic, decoderParity, openDecoder } from './decoder-parity.ts';
import { audioParity, imageParity, vitParity } from './encoder-parity.ts';
import { type Golden, type PictureEntry, readCases } from './golden-cases.ts';
import { GoldenTensors } from './golden-tensors.ts';
import { meshParity } from './mesh-parity.ts';
import { multimodalParity } from './multimodal-parity.ts';
import { formatRows, type ParityRow } from './report.ts';
import { type ResizeGolden, resizeParity } from './resize-parity.ts';
import { type TextGolden, textParity } from './text-parity.ts';

const USAGE = `usage: npm run parity -- DIR...

Runs each fixture directory through the native path and the real tokenizer and prints how far the
results are from the reference: pixels, features, embeddings, positions, hidden states, logits,
prompt ids and greedy tokens.
AUTOGLM_ISA=reference|avx2|avx512|amx caps the kernels. Exit status 1: something is past its tolerance.`;

async function checkDirectory(directory: string): Promise<ParityRow[]> {
  const path = join(directory, 'golden.json');
  if (!existsSync(path)) return towerParity(directory);
  // The parsed value is not checked, because fixtures are the project's own files. Their keys tell
  // them apart.
  const golden: TextGolden | ResizeGolden | Golden = JSON.parse(await readFile(path, 'utf8'));
  if (isResize(golden)) return resizeParity(directory, golden);
  if ('templates' in golden) return textParity(directory, golden);
  return checkpointParity(directory, golden);
}

function isResize(golden: TextGolden | ResizeGolden | Golden): golden is ResizeGolden {
  return Array.isArray(golden);
}

/** Compares a directory that holds a vision or speech tower and no language model. */
async function towerParity(directory: string): Promise<ParityRow[]> {
  const golden = await GoldenTensors.read(join(directory, 'golden.safetensors'));
  const config: { readonly model_type: string; readonly patch_size: number } = JSON.parse(
    await readFile(join(directory, 'config.json'), 'utf8'),
  );
  const rows: ParityRow[] = [];
  for (const arithmetic of ARITHMETICS) {
    const check = { directory, golden, arithmetic };
    rows.push(
      ...(config.model_type === 'vit'
        ? await vitParity(check, config.patch_size)
        : await audioParity(check)),
    );
  }
  return rows;
}

async function checkpointParity(directory: string, golden: Golden): Promise<ParityRow[]> {
  const tensorsPath = join(directory, 'golden.safetensors');
  const tensors = existsSync(tensorsPath) ? await GoldenTensors.read(tensorsPath) : null;
  const cases = readCases(golden);
  const rows: ParityRow[] = [];
  for (const arithmetic of ARITHMETICS) {
    const decoder = await openDecoder(directory, arithmetic);
    try {
      if (tensors !== null) {
        rows.push(...(await decoderParity(decoder, tensors, arithmetic)));
        rows.push(...(await pictureParity(directory, decoder, golden, { tensors, arithmetic })));
      }
      rows.push(...(await meshParity(directory, decoder, cases, { tensors, arithmetic })));
    } finally {
      await decoder.close();
    }
  }
  return rows;
}

/** Compares the pictures of a checkpoint with a vision tower, and the prompts that contain them. */
async function pictureParity(
  directory: string,
  decoder: Decoder,
  golden: Golden,
  reference: { readonly tensors: GoldenTensors; readonly arithmetic: Arithmetic },
): Promise<ParityRow[]> {
  const { tensors, arithmetic } = reference;
  if (!tensors.has('image0.pixel_values') || !('cases' in golden)) return [];
  const { rows, traces } = await imageParity({ directory, golden: tensors, arithmetic });
  const cases = golden.cases.filter((entry): entry is PictureEntry => 'rope_delta' in entry);
  const towers = { decoder, traces };
  return [
    ...rows,
    ...(await multimodalParity(directory, towers, cases, { golden: tensors, arithmetic })),
  ];
}

async function main(directories: readonly string[]): Promise<number> {
  if (directories.length === 0 || directories.includes('--help')) {
    console.log(USAGE);
    return directories.length === 0 ? 2 : 0;
  }
  let numFailed = 0;
  for (const directory of directories) {
    const rows = await checkDirectory(directory);
    const failed = rows.filter(({ passed }) => !passed);
    numFailed += failed.length;
    console.log(`${directory} (${cpuFeatures().isa})\n${formatRows(rows)}`);
    console.log(`${rows.length - failed.length} passed, ${failed.length} failed\n`);
  }
  return numFailed === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
