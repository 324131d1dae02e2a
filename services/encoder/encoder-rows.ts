import type { RowLease } from '#mesh/encode/row-pool.ts';
import type { DeviceMemory } from '#protos/autoglm/common/v1/device_memory.ts';
import type { SharedMemory } from '#protos/autoglm/common/v1/shared_memory.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import type { EncodeResponse, EncodeRows } from '#protos/autoglm/encoder/v1/encoder.ts';

/**
 * Target size of one rows message. A stream buffers 16 messages before it asks the sender to wait,
 * so a slow reader holds at most 4 MiB in the encoder.
 */
const MESSAGE_BYTES = 256 * 1024;

const FLOAT32_BYTES = 4;

/** Makes the message that says where rows `[num_rows, hidden_size]` are. */
export function sharedRowsMessage(
  memory: SharedMemory,
  shape: readonly [numRows: number, hiddenSize: number],
): EncodeResponse {
  const value = { dtype: DType.D_TYPE_FLOAT32, shape: [...shape], memory };
  return { event: { $case: 'sharedRows', value } };
}

/** Makes the message that says where rows `[num_rows, hidden_size]` are in the GPU's row pool. */
export function deviceRowsMessage(
  memory: DeviceMemory,
  { offset }: RowLease,
  shape: readonly [numRows: number, hiddenSize: number],
): EncodeResponse {
  const offsetBytes = BigInt(offset);
  const value = { dtype: DType.D_TYPE_FLOAT32, shape: [...shape], memory, offsetBytes };
  return { event: { $case: 'deviceRows', value } };
}

/** Cuts rows `[num_rows, hidden_size]` into messages that are views of them. */
export function* rowsMessages(
  rows: Float32Array,
  shape: { readonly hiddenSize: number },
): Generator<EncodeResponse> {
  const rowBytes = shape.hiddenSize * FLOAT32_BYTES;
  const numRows = rows.byteLength / rowBytes;
  const stride = Math.max(1, Math.floor(MESSAGE_BYTES / rowBytes));
  for (let firstRow = 0; firstRow < numRows; firstRow += stride) {
    const count = Math.min(stride, numRows - firstRow);
    const data = Buffer.from(rows.buffer, rows.byteOffset + firstRow * rowBytes, count * rowBytes);
    const tensor = { dtype: DType.D_TYPE_FLOAT32, shape: [count, shape.hiddenSize], data };
    const value: EncodeRows = { firstRow, rows: tensor };
    yield { event: { $case: 'rows', value } };
  }
}
