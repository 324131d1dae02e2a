import { deviceList } from '#mesh/devices/device-list.ts';
import { type Decoder, type DecoderTrace, loadDecoder } from '#native';
import type { GoldenTensors } from './golden-tensors.ts';
import { errorRow, type ParityRow } from './report.ts';

export interface Arithmetic {
  readonly activationDtype: 'float32' | 'bfloat16';
  readonly tolerance: number;
  readonly minMargin: number;
}

/** Tolerance of each arithmetic (fixtures: float32 within 2e-4, bfloat16 within 2e-2). */
export const ARITHMETICS: readonly Arithmetic[] = [
  { activationDtype: 'float32', tolerance: 2e-4, minMargin: 0.002 },
  { activationDtype: 'bfloat16', tolerance: 2e-2, minMargin: 0.05 },
];

/** Inputs of products that are rounded to int8 are further from the reference than bfloat16. */
export function arithmeticOf(decoder: Decoder, arithmetic: Arithmetic): Arithmetic {
  const isInt8 = decoder.description.quantization.includes('inputs of int8');
  return isInt8 ? { ...arithmetic, tolerance: 5e-2, minMargin: 0.15 } : arithmetic;
}

export function openDecoder(
  directory: string,
  device: string,
  arithmetic: Arithmetic,
): Promise<Decoder> {
  return loadDecoder({
    model: { directory },
    device: deviceList(device),
    weightDtype: 'auto',
    activationDtype: arithmetic.activationDtype,
    blockSize: 16,
    kvCacheBytes: 64 * 1024 * 1024,
    maxNumBatchedTokens: 1024,
  });
}

/**
 * Compares hidden states after every layer, and logits, of the prompts `promptK` in the golden
 * tensors.
 */
export async function decoderParity(
  decoder: Decoder,
  golden: GoldenTensors,
  { activationDtype, tolerance }: Arithmetic,
): Promise<ParityRow[]> {
  const rows: ParityRow[] = [];
  for (let k = 0; golden.has(`prompt${k}.ids`); k++) {
    const tokenIds = Uint32Array.from(golden.get(`prompt${k}.ids`).values);
    const trace = await decoder.trace(tokenIds);
    rows.push(...promptRows(`prompt${k}`, trace, golden, tolerance));
  }
  return rows.map((row) => ({ ...row, name: `${activationDtype} ${row.name}` }));
}

function promptRows(
  name: string,
  { hidden, logits }: DecoderTrace,
  golden: GoldenTensors,
  tolerance: number,
): ParityRow[] {
  const rows = hidden.flatMap((states, layer) => {
    const tensor = `${name}.hidden${layer}`;
    if (!golden.has(tensor)) return [];
    return [errorRow(tensor, states, golden.get(tensor).values, tolerance)];
  });
  // For a long prompt the reference kept only the last rows.
  const reference = golden.get(`${name}.logits`).values;
  const last = logits.subarray(logits.length - reference.length);
  return [...rows, errorRow(`${name}.logits`, last, reference, tolerance)];
}
