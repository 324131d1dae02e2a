import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ImageRun, mropePositions } from '#backbone/media/mrope.ts';
import type { Decoder, EncoderTrace, MediaRows } from '#native';
import type { Arithmetic } from './decoder-parity.ts';
import type { PictureEntry } from './golden-cases.ts';
import type { GoldenTensors } from './golden-tensors.ts';
import { errorRow, exactRow, type ParityRow } from './report.ts';

/**
 * Compares the positions of prompts `caseK`, and the logits of a decoder that gets the encoder's
 * own rows.
 */
export async function multimodalParity(
  directory: string,
  { decoder, traces }: { readonly decoder: Decoder; readonly traces: readonly EncoderTrace[] },
  cases: readonly PictureEntry[],
  { golden, arithmetic }: { readonly golden: GoldenTensors; readonly arithmetic: Arithmetic },
): Promise<ParityRow[]> {
  const files = await readModelFacts(directory);
  const rows: ParityRow[] = [];
  for (const [k, { images, rope_delta }] of cases.entries()) {
    const name = `case${k}`;
    const ids = golden.get(`${name}.ids`).values;
    const pictures = images.map((image) => {
      const trace = traces[image];
      if (trace === undefined) throw new Error(`${name}: there is no image${image}`);
      return trace;
    });
    const runs = imageRuns(ids, pictures, files);
    const { positions, delta } = mropePositions(ids.length, runs);
    const mediaRows = runs.map((run, i) => rowsOf(run.firstToken, pictures[i]));
    const { logits } = await decoder.trace(Uint32Array.from(ids), positions, mediaRows);
    const reference = golden.get(`${name}.logits_last`).values;
    const last = logits.subarray(logits.length - reference.length);
    rows.push(
      exactRow(`${name}.positions`, positions, golden.get(`${name}.positions`).values),
      exactRow(`${name}.rope_delta`, [delta], [rope_delta]),
      errorRow(`${name}.logits_last`, last, reference, arithmetic.tolerance),
    );
  }
  return rows.map((row) => ({ ...row, name: `${arithmetic.activationDtype} ${row.name}` }));
}

interface ModelFacts {
  readonly imageTokenId: number;
  readonly mergeSize: number;
}

async function readModelFacts(directory: string): Promise<ModelFacts> {
  // The parsed value is not checked, because fixtures are the project's own files.
  const config: {
    readonly image_token_id: number;
    readonly vision_config: { readonly spatial_merge_size: number };
  } = JSON.parse(await readFile(join(directory, 'config.json'), 'utf8'));
  return {
    imageTokenId: config.image_token_id,
    mergeSize: config.vision_config.spatial_merge_size,
  };
}

/** Finds the placeholders of each picture in the expanded prompt. */
function imageRuns(
  ids: ArrayLike<number> & { indexOf(id: number, from: number): number },
  pictures: readonly EncoderTrace[],
  { imageTokenId, mergeSize }: ModelFacts,
): ImageRun[] {
  let from = 0;
  return pictures.map(({ plan: { grid, numRows } }) => {
    const firstToken = ids.indexOf(imageTokenId, from);
    from = firstToken + numRows;
    return { firstToken, numRows: grid.h / mergeSize, numColumns: grid.w / mergeSize };
  });
}

function rowsOf(firstToken: number, trace: EncoderTrace | undefined): MediaRows {
  if (trace === undefined) throw new Error('a run without a picture');
  const { buffer, byteOffset, byteLength } = trace.rows;
  const rows = new Uint8Array(buffer, byteOffset, byteLength);
  return { firstToken, numRows: trace.plan.numRows, dtype: 'float32', rows };
}
