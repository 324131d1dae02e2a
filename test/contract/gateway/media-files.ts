import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

const FOLDERS = { gif: 'image-formats', png: 'resize', wav: 'conformer-tiny' } as const;

/** Reads a fixture of test/testdata by its file name. */
export function testdata(name: `${string}.${keyof typeof FOLDERS}`): Buffer {
  const extension = name.endsWith('.gif') ? 'gif' : name.endsWith('.png') ? 'png' : 'wav';
  return readFileSync(join(PACKAGE_ROOT, 'test/testdata', FOLDERS[extension], name));
}

export const PNG = testdata('0.in.png');
export const WAV = testdata('audio0.wav');

export function dataUrl(mediaType: string, bytes: Buffer): string {
  return `data:${mediaType};base64,${bytes.toString('base64')}`;
}
