// `npm run parity -- DIR…`: compares the results for model directories with those of the reference
// implementation. The layout is that of test/testdata: a checkpoint with golden.safetensors and
// golden.json.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Type } from 'typebox';
import { readArguments } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { resolveOptions } from '#mesh/options.ts';
import { cpuFeatures, type Decoder } from '#native';
import { runTool } from '#test/run-tool.ts';
import {
  ARITHMETICS,
  type Arithmetic,
  arithmeticOf,
  decoderParity,
  openDecoder,
} from './decoder-parity.ts';
import { audioParity, imageParity, vitParity } from './encoder-parity.ts';
import { type Golden, type PictureEntry, readCases } from './golden-cases.ts';
import { GoldenTensors } from './golden-tensors.ts';
import { meshParity } from './mesh-parity.ts';
import { multimodalParity } from './multimodal-parity.ts';
import { formatRows, type ParityRow } from './report.ts';
import { type ResizeGolden, resizeParity } from './resize-parity.ts';
import { type TextGolden, textParity } from './text-parity.ts';

const USAGE = `usage: npm run parity -- [--device DEVICE] DIR...

Runs each fixture directory through the native path and the real tokenizer and prints how far the
results are from the reference: pixels, features, embeddings, positions, hidden states, logits,
prompt ids and greedy tokens. The language model runs on DEVICE, cpu by default; cpu:0,cpu:1 spreads it
over a group of two.
AUTOGLM_ISA=reference|avx2|avx512|amx caps the kernels. Exit status 1: something is past its tolerance.`;

const parityOptions = Type.Object({
  device: Type.String({ default: 'cpu', description: 'Where the language model runs' }),
});

async function checkDirectory(directory: string, device: string): Promise<ParityRow[]> {
  const path = join(directory, 'golden.json');
  if (!existsSync(path)) return towerParity(directory);
  // The parsed value is not checked, because fixtures are the project's own files. Their keys tell
  // them apart.
  const golden: TextGolden | ResizeGolden | Golden = JSON.parse(await readFile(path, 'utf8'));
  if (isResize(golden)) return resizeParity(directory, golden);
  if ('templates' in golden) return textParity(directory, golden);
  return checkpointParity(directory, golden, device);
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

async function checkpointParity(
  directory: string,
  golden: Golden,
  device: string,
): Promise<ParityRow[]> {
  const tensorsPath = join(directory, 'golden.safetensors');
  const tensors = existsSync(tensorsPath) ? await GoldenTensors.read(tensorsPath) : null;
  const cases = readCases(golden);
  const rows: ParityRow[] = [];
  for (const plain of ARITHMETICS) {
    const decoder = await openDecoder(directory, device, plain);
    const arithmetic = arithmeticOf(decoder, plain);
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

/** Refuses a directory that has nothing to compare with. */
function requireReference(directory: string): void {
  const isThere = (name: string) => existsSync(join(directory, name));
  if (isThere('golden.json') || (isThere('golden.safetensors') && isThere('config.json'))) return;
  const why = isThere('.') ? 'has no golden.json or golden.safetensors' : 'does not exist';
  const what = 'a directory holds a checkpoint and the values of its reference implementation';
  throw new MeshError('INVALID_REQUEST', `${directory} ${why}; ${what}`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.length === 0 || args.includes('--help')) {
    console.log(USAGE);
    return args.length === 0 ? 2 : 0;
  }
  const { values, rest: directories } = readArguments(parityOptions, args);
  const { device } = resolveOptions(parityOptions, values, {});
  for (const directory of directories) requireReference(directory);
  let numFailed = 0;
  for (const directory of directories) {
    const rows = await checkDirectory(directory, device);
    const failed = rows.filter(({ passed }) => !passed);
    numFailed += failed.length;
    const where = device === 'cpu' ? cpuFeatures().isa : `${device}, ${cpuFeatures().isa}`;
    console.log(`${directory} (${where})\n${formatRows(rows)}`);
    console.log(`${rows.length - failed.length} passed, ${failed.length} failed\n`);
  }
  return numFailed === 0 ? 0 : 1;
}

await runTool('parity', main);
