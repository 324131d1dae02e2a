import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MeshError } from './errors.ts';

/** Number of evenly spaced places of a shard at which tensor bytes are sampled. */
const NUM_SAMPLES = 64;
/** Bytes sampled at each place: few, so that a 20 GB checkpoint is read in milliseconds. */
const SAMPLE_BYTES = 4096;
/** Most bytes of a safetensors header; a longer one is refused. */
const MAX_HEADER_BYTES = 100 * 1024 * 1024;

/**
 * Names a checkpoint: hex SHA-256 over `config.json` and, shard by shard in name order, the
 * safetensors header (its 8-byte length included), the file size and fixed samples of the tensor
 * bytes. Two processes with equal fingerprints hold the same weights.
 */
export async function fingerprint(modelDirectory: string): Promise<string> {
  const hash = createHash('sha256');
  hash.update(await readFile(join(modelDirectory, 'config.json')));
  const names = await readdir(modelDirectory);
  const shards = names.filter((name) => isShard(name)).sort();
  if (shards.length === 0) {
    throw new MeshError('INVALID_REQUEST', `${modelDirectory}: no model*.safetensors file`);
  }
  for (const shard of shards) await updateWithShard(hash, join(modelDirectory, shard));
  return hash.digest('hex');
}

function isShard(name: string): boolean {
  return name.endsWith('.safetensors') && name.startsWith('model');
}

async function updateWithShard(hash: Hash, path: string): Promise<void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const length = await readAt(file, { offset: 0, bytes: 8 });
    if (length.length < 8) throw notSafetensors(path, 'shorter than its header length');
    const headerBytes = Number(length.readBigUInt64LE());
    if (headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > size) {
      throw notSafetensors(path, `header of ${headerBytes} bytes in a file of ${size}`);
    }
    hash.update(length);
    hash.update(await readAt(file, { offset: 8, bytes: headerBytes }));
    hash.update(String(size));
    const start = 8 + headerBytes;
    const stride = Math.max(SAMPLE_BYTES, Math.floor((size - start) / NUM_SAMPLES));
    for (let offset = start; offset < size; offset += stride) {
      hash.update(await readAt(file, { offset, bytes: Math.min(SAMPLE_BYTES, size - offset) }));
    }
  } finally {
    await file.close();
  }
}

async function readAt(
  file: FileHandle,
  range: { readonly offset: number; readonly bytes: number },
): Promise<Buffer> {
  const buffer = Buffer.alloc(range.bytes);
  const { bytesRead } = await file.read(buffer, 0, range.bytes, range.offset);
  return buffer.subarray(0, bytesRead);
}

function notSafetensors(path: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${path}: not a safetensors file: ${why}`);
}
