import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { resizeImage } from '#native';
import { loadPixels, readImageSize } from '#vision/image-decode.ts';
import { exactRow, type ParityRow } from './report.ts';

/**
 * Type of `golden.json` in a directory of pictures `K.in.png` and their resized forms `K.out.png`.
 */
export type ResizeGolden = readonly {
  /** [width, height]. */
  readonly in: readonly [number, number];
  readonly out: readonly [number, number];
}[];

interface Picture {
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Checks that all resized pixels are exactly equal. */
export async function resizeParity(directory: string, golden: ResizeGolden): Promise<ParityRow[]> {
  const rows: ParityRow[] = [];
  for (const [k, sizes] of golden.entries()) {
    const source = await readPicture(join(directory, `${k}.in.png`));
    const reference = await readPicture(join(directory, `${k}.out.png`));
    const [toWidth, toHeight] = sizes.out;
    const ours = await resizeImage({ ...source, toWidth, toHeight });
    rows.push(
      exactRow(`${k} ${sizes.in.join('x')} to ${sizes.out.join('x')}`, ours, reference.rgb),
    );
  }
  return rows;
}

async function readPicture(path: string): Promise<Picture> {
  const file = await readFile(path);
  const size = await readImageSize(file, { maxImagePixels: 1e8 });
  return { rgb: await loadPixels(file, size), ...size };
}
