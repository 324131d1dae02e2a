import { MeshError } from '#mesh/errors.ts';
import { DType, type Tensor } from '#protos/autoglm/common/v1/tensor.ts';
import type { Answer } from './answer.ts';
import type { Envelope } from './envelope.ts';
import { totalUsage } from './usage.ts';

/** Forms of a vector: a list of numbers, or base64 of its float32 in little-endian order. */
export type VectorFormat = 'float' | 'base64';

/** Bytes of a float32. */
const NUMBER_BYTES = 4;

/**
 * Most numbers of one answer, which is held whole: a million as text takes a tenth of a second to
 * write, eight as base64 less.
 */
const MAX_NUMBERS = { float: 1_048_576, base64: 8_388_608 } as const;

/** Vectors that an answer is to hold. */
export interface VectorList {
  readonly numVectors: number;
  /** Numbers of each. */
  readonly width: number;
  readonly format: VectorFormat;
}

/** Throws INVALID_REQUEST if the vectors of an answer are more than one holds. */
export function checkVectors({ numVectors, width, format }: VectorList): void {
  const max = MAX_NUMBERS[format];
  if (numVectors * width <= max) return;
  const most = Math.floor(max / width);
  const other = format === 'float' ? ', or ask for encoding_format "base64"' : '';
  const message = `input: ${numVectors} vectors of ${width} numbers are more than one answer holds; send at most ${most} inputs${other}`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'input' });
}

/** Writes OpenAI's list of embeddings, in the order of the inputs. */
export function embeddingResponse(
  answers: readonly Answer[],
  { envelope, format }: { readonly envelope: Envelope; readonly format: VectorFormat },
): Record<string, unknown> {
  const { id, ...rest } = envelope;
  return {
    id,
    object: 'list',
    ...rest,
    data: answers.map((answer, index) => ({
      object: 'embedding',
      index,
      embedding: vectorOf(bytesOf(answer.embedding?.values), format),
    })),
    usage: totalUsage(answers.map(({ usage }) => usage)),
  };
}

function vectorOf(bytes: Buffer, format: VectorFormat): readonly number[] | string {
  if (format === 'base64') return bytes.toString('base64');
  const length = bytes.length / NUMBER_BYTES;
  return Array.from({ length }, (_, i) => bytes.readFloatLE(i * NUMBER_BYTES));
}

/** Returns the bytes of an embedding; a missing one is a failure, never a success. */
function bytesOf(tensor: Tensor | undefined): Buffer {
  const { dtype, shape = [], data = new Uint8Array() } = tensor ?? {};
  const [width = 0] = shape;
  const isVector = dtype === DType.D_TYPE_FLOAT32 && shape.length === 1 && width > 0;
  if (isVector && data.length === width * NUMBER_BYTES) {
    return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }
  throw new MeshError('ENGINE_FAILED', 'the backbone sent no embedding that can be read');
}
