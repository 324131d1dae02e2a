import { MeshError } from '#mesh/errors.ts';

export function damagedFlac(why: string): MeshError {
  return new MeshError('UNSUPPORTED_MEDIA', `the FLAC file is damaged: ${why}`);
}
