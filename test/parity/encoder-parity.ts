import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Turns } from '#mesh/async/turns.ts';
import { type EncoderTrace, type LoadedEncoder, loadEncoder } from '#native';
import { Recording } from '#speech/recording.ts';
import { decodeWav } from '#speech/wav.ts';
import { plannedItem } from '#test/planned-item.ts';
import { loadPixels, readImageSize } from '#vision/image-decode.ts';
import type { Arithmetic } from './decoder-parity.ts';
import type { GoldenTensors } from './golden-tensors.ts';
import { errorRow, exactRow, type ParityRow } from './report.ts';

/** One comparison with a fixture's golden tensors, and its tolerance. */
export interface EncoderCheck {
  readonly directory: string;
  readonly golden: GoldenTensors;
  readonly arithmetic: Arithmetic;
}

/** Tolerance of features, which float32 arithmetic computes at every level. */
const FEATURE_TOLERANCE = 2e-4;

/**
 * Compares pixel values, grids and embeddings of `images/K.png`; also returns the embeddings, for a
 * decoder.
 */
export async function imageParity(
  check: EncoderCheck,
): Promise<{ readonly rows: ParityRow[]; readonly traces: EncoderTrace[] }> {
  const { directory, golden, arithmetic } = check;
  const rows: ParityRow[] = [];
  const traces: EncoderTrace[] = [];
  const encoder = await openEncoder(check, 'image');
  try {
    for (let k = 0; golden.has(`image${k}.pixel_values`); k++) {
      const name = `image${k}`;
      const trace = await traceImage(encoder, join(directory, 'images', `${k}.png`));
      const { t, h, w } = trace.plan.grid;
      const { features } = trace;
      rows.push(
        errorRow(
          `${name}.pixel_values`,
          features,
          golden.get(`${name}.pixel_values`).values,
          FEATURE_TOLERANCE,
        ),
        exactRow(`${name}.grid`, [t, h, w], golden.get(`${name}.grid`).values),
        errorRow(
          `${name}.embeddings`,
          trace.rows,
          golden.get(`${name}.embeddings`).values,
          arithmetic.tolerance,
        ),
      );
      traces.push(trace);
    }
  } finally {
    await encoder.close();
  }
  return { rows: named(check, rows), traces };
}

/**
 * Compares mel frames and tower states of `audioK.wav`, over the rows that the reference's masks
 * keep.
 */
export async function audioParity(check: EncoderCheck): Promise<ParityRow[]> {
  const { directory, golden, arithmetic } = check;
  const rows: ParityRow[] = [];
  const encoder = await openEncoder(check, 'audio');
  try {
    for (let k = 0; golden.has(`audio${k}.mel`); k++) {
      const name = `audio${k}`;
      const recording = await readWav(join(directory, `${name}.wav`));
      const trace = await encoder.trace(plannedItem(encoder, { kind: 'audio', ...recording }));
      const mel = keptRows(golden, `${name}.mel`, `${name}.mask`);
      const encoded = keptRows(golden, `${name}.encoded`, `${name}.encoded_mask`);
      rows.push(
        errorRow(`${name}.mel`, trace.features, mel, FEATURE_TOLERANCE),
        errorRow(`${name}.encoded`, trace.states, encoded, arithmetic.tolerance),
      );
    }
  } finally {
    await encoder.close();
  }
  return named(check, rows);
}

/** Compares the last hidden state of a bare ViT over the reference's own pixel values. */
export async function vitParity(check: EncoderCheck, patchSize: number): Promise<ParityRow[]> {
  const { golden, arithmetic } = check;
  const { shape, values } = golden.get('pixel_values');
  const [, height = 0, width = 0] = shape;
  const grid = { t: 1, h: height / patchSize, w: width / patchSize };
  const encoder = await openEncoder(check, 'image');
  try {
    const features = patchRows(values, { height, width, patchSize });
    const trace = await encoder.trace({ kind: 'features', values: features, grid });
    const reference = golden.get('last_hidden_state').values;
    return named(check, [
      errorRow('last_hidden_state', trace.states, reference, arithmetic.tolerance),
    ]);
  } finally {
    await encoder.close();
  }
}

function openEncoder(
  { directory, arithmetic }: EncoderCheck,
  modality: 'image' | 'audio',
): Promise<LoadedEncoder> {
  return loadEncoder({
    modelDirectory: directory,
    modality,
    device: 'cpu',
    weightDtype: 'auto',
    activationDtype: arithmetic.activationDtype,
  });
}

function named({ arithmetic }: EncoderCheck, rows: readonly ParityRow[]): ParityRow[] {
  return rows.map((row) => ({ ...row, name: `${arithmetic.activationDtype} ${row.name}` }));
}

async function traceImage(encoder: LoadedEncoder, path: string): Promise<EncoderTrace> {
  const file = await readFile(path);
  const size = await readImageSize(file, { maxImagePixels: 1e8 });
  const rgb = await loadPixels(file, size);
  return encoder.trace(plannedItem(encoder, { kind: 'image', rgb, ...size }));
}

async function readWav(
  path: string,
): Promise<{ readonly samples: Float32Array; readonly sampleRateHz: number }> {
  const recording = new Recording({ maxAudioSeconds: 60 });
  const turns = new Turns();
  await decodeWav(await readFile(path), recording, turns);
  return { samples: await recording.take(turns), sampleRateHz: recording.sampleRateHz };
}

/** Returns the rows of a golden tensor up to the first that its mask leaves out. */
function keptRows(golden: GoldenTensors, name: string, maskName: string): ArrayLike<number> {
  const { shape, values } = golden.get(name);
  const mask = golden.get(maskName).values;
  const end = mask.indexOf(0);
  return values.subarray(0, (end === -1 ? mask.length : end) * (shape[1] ?? 0));
}

/** Cuts `[3, height, width]` into patches `[cells, 3 * patchSize * patchSize]`, row-major. */
function patchRows(
  planes: ArrayLike<number>,
  size: { readonly height: number; readonly width: number; readonly patchSize: number },
): Float32Array {
  const { height, width, patchSize } = size;
  const patches = new Float32Array(planes.length);
  let out = 0;
  for (let top = 0; top < height; top += patchSize) {
    for (let left = 0; left < width; left += patchSize) {
      for (let i = 0; i < 3 * patchSize ** 2; i++, out++) {
        const channel = Math.floor(i / patchSize ** 2);
        const y = top + (Math.floor(i / patchSize) % patchSize);
        patches[out] = planes[(channel * height + y) * width + left + (i % patchSize)] ?? 0;
      }
    }
  }
  return patches;
}
