import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import { MeshError } from '#mesh/errors.ts';
import { checkIsNoGitLfsPointer, isWeightFile, readModelFile } from './model-file.ts';

/** Bytes sampled at the head, middle and tail of a tensor: 20 GB of weights are read in a second. */
const SAMPLE_BYTES = 4096;
/** Most bytes of a safetensors header, the format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
/** Most MB of config.json. */
const MAX_CONFIG_MB = 64;
/** Tensors whose samples are read at once, so that a slow disk is not waited for once a sample. */
const NUM_TENSORS_AT_ONCE = 32;

const Header = Type.Record(
  Type.String(),
  Type.Object({ data_offsets: Type.Optional(Type.Tuple([Type.Integer(), Type.Integer()])) }),
);

interface ByteRange {
  readonly offset: number;
  readonly bytes: number;
}

/**
 * Names a checkpoint: hex SHA-256 over `config.json` and, shard by shard in name order, the
 * safetensors header (its 8-byte length included), the file size, and 4096 bytes at the head, the
 * middle and the tail of every tensor. Two processes with equal fingerprints hold weights of the
 * same shapes from the same training; a byte that differs between the samples is not noticed, for
 * which `autoglm verify` reads whole files.
 */
export async function fingerprint(modelDirectory: string): Promise<string> {
  const hash = createHash('sha256');
  const configPath = join(modelDirectory, 'config.json');
  const config = await readModelFile(configPath, MAX_CONFIG_MB);
  if (config === null) throw refusal(configPath, 'not found; is it a model directory?');
  hash.update(config);
  const shards = (await readdir(modelDirectory)).filter(isWeightFile).sort();
  if (shards.length === 0) throw refusal(modelDirectory, 'no model*.safetensors file');
  for (const shard of shards) await updateWithShard(hash, join(modelDirectory, shard));
  return hash.digest('hex');
}

async function updateWithShard(hash: Hash, path: string): Promise<void> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const head = await readHeader(file, { path, size });
    hash.update(head);
    hash.update(String(size));
    const tensors = tensorRanges(head, { path, size });
    for (let i = 0; i < tensors.length; i += NUM_TENSORS_AT_ONCE) {
      const ranges = tensors.slice(i, i + NUM_TENSORS_AT_ONCE).flatMap(samplesOf);
      for (const bytes of await Promise.all(ranges.map((range) => readAt(file, range)))) {
        hash.update(bytes);
      }
    }
  } finally {
    await file.close();
  }
}

interface ShardFile {
  readonly path: string;
  readonly size: number;
}

/** Returns the header with the 8-byte length before it. */
async function readHeader(file: FileHandle, { path, size }: ShardFile): Promise<Buffer> {
  const beginning = await readAt(file, { offset: 0, bytes: Math.min(size, 128) });
  checkIsNoGitLfsPointer(path, beginning.toString('latin1'));
  if (beginning.length < 8) throw notSafetensors(path, 'shorter than its header length');
  const headerBytes = Number(beginning.readBigUInt64LE());
  if (headerBytes > MAX_HEADER_BYTES || 8 + headerBytes > size) {
    throw notSafetensors(path, `header of ${headerBytes} bytes in a file of ${size}`);
  }
  return readAt(file, { offset: 0, bytes: 8 + headerBytes });
}

/** Returns where the tensors lie in the file, in the order of the header. */
function tensorRanges(head: Buffer, { path, size }: ShardFile): readonly ByteRange[] {
  const start = head.length;
  return Object.values(parseHeader(head, path)).flatMap(({ data_offsets: offsets }) => {
    if (offsets === undefined) return [];
    const [begin, end] = offsets;
    if (begin < 0 || end < begin || start + end > size) {
      throw notSafetensors(path, `a tensor at bytes ${begin} to ${end} of ${size - start}`);
    }
    return [{ offset: start + begin, bytes: end - begin }];
  });
}

function parseHeader(head: Buffer, path: string): Static<typeof Header> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(head.toString('utf8', 8));
  } catch {
    throw notSafetensors(path, 'its header is not JSON');
  }
  if (Value.Check(Header, parsed)) return parsed;
  throw notSafetensors(path, 'its header does not describe tensors');
}

function samplesOf({ offset, bytes }: ByteRange): readonly ByteRange[] {
  if (bytes <= 3 * SAMPLE_BYTES) return [{ offset, bytes }];
  const middle = offset + Math.floor((bytes - SAMPLE_BYTES) / 2);
  const tail = offset + bytes - SAMPLE_BYTES;
  return [offset, middle, tail].map((place) => ({ offset: place, bytes: SAMPLE_BYTES }));
}

async function readAt(file: FileHandle, range: ByteRange): Promise<Buffer> {
  const buffer = Buffer.alloc(range.bytes);
  const { bytesRead } = await file.read(buffer, 0, range.bytes, range.offset);
  return buffer.subarray(0, bytesRead);
}

function notSafetensors(path: string, why: string): MeshError {
  return refusal(path, `not a safetensors file: ${why}`);
}

function refusal(path: string, why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${path}: ${why}`, { param: 'model' });
}
