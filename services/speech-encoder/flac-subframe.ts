import type { BitReader } from './bit-reader.ts';
import { damagedFlac } from './damaged-flac.ts';

// RFC 9639 §9.2: a subframe is one channel of a frame: constant, verbatim, or what a linear predictor
// leaves over, which is Rice coded. All values are integers below 2^53 and so exact in a double, also
// if 32-bit channels differ by 33 bits or a predictor of 32 coefficients sums them.

/** Predictors with a fixed form by their order; the latest sample's coefficient comes first. */
const FIXED_PREDICTORS: readonly (readonly number[])[] = [
  [],
  [1],
  [2, -1],
  [3, -3, 1],
  [4, -6, 4, -1],
];

const LPC_PRECISION_BITS = 4;
const INVALID_PRECISION = 15;
const LPC_SHIFT_BITS = 5;

/** The largest residual once folded into an unsigned number: residuals have 32 bits. */
const MAX_FOLDED = 2 ** 32 - 1;

/** Decodes a subframe of `bits` bits a sample into `samples`, `[block_size]`. */
export function readSubframe(reader: BitReader, samples: Float64Array, bits: number): void {
  if (reader.unsigned(1) !== 0) throw damagedFlac('a subframe starts with a one');
  const type = reader.unsigned(6);
  const numWasted = reader.unsigned(1) === 0 ? 0 : reader.unary() + 1;
  const width = bits - numWasted;
  if (width < 1) throw damagedFlac(`${numWasted} of ${bits} bits are wasted`);
  if (type === 0) samples.fill(reader.signed(width));
  else if (type === 1) readSamples(reader, samples, width);
  else if (type >= 8 && type <= 12) readFixed(reader, samples, { order: type - 8, width });
  else if (type >= 32) readLpc(reader, samples, { order: type - 31, width });
  else throw damagedFlac(`a subframe of type ${type}`);
  if (numWasted === 0) return;
  const factor = 2 ** numWasted;
  for (let i = 0; i < samples.length; i++) samples[i] = (samples[i] ?? 0) * factor;
}

interface Predicted {
  readonly order: number;
  /** Bits of the samples that are given as they are. */
  readonly width: number;
}

function readSamples(reader: BitReader, samples: Float64Array, width: number): void {
  for (let i = 0; i < samples.length; i++) samples[i] = reader.signed(width);
}

function readFixed(reader: BitReader, samples: Float64Array, { order, width }: Predicted): void {
  refuseShortBlock(samples, order);
  readSamples(reader, samples.subarray(0, order), width);
  readResiduals(reader, samples, order);
  addPrediction(samples, Float64Array.from(FIXED_PREDICTORS[order] ?? []), 1);
}

function readLpc(reader: BitReader, samples: Float64Array, { order, width }: Predicted): void {
  refuseShortBlock(samples, order);
  readSamples(reader, samples.subarray(0, order), width);
  const precision = reader.unsigned(LPC_PRECISION_BITS);
  if (precision === INVALID_PRECISION) throw damagedFlac('coefficients of 16 bits');
  const shift = reader.signed(LPC_SHIFT_BITS);
  if (shift < 0) throw damagedFlac(`a prediction is shifted by ${shift} bits`);
  const coefficients = new Float64Array(order);
  readSamples(reader, coefficients, precision + 1);
  readResiduals(reader, samples, order);
  addPrediction(samples, coefficients, 2 ** -shift);
}

function refuseShortBlock(samples: Float64Array, order: number): void {
  if (order <= samples.length) return;
  throw damagedFlac(`a predictor of order ${order} in a block of ${samples.length} samples`);
}

/** Turns the residuals behind the first samples into samples. */
function addPrediction(samples: Float64Array, coefficients: Float64Array, scale: number): void {
  const order = coefficients.length;
  for (let i = order; i < samples.length; i++) {
    let sum = 0;
    for (let j = 0; j < order; j++) sum += (coefficients[j] ?? 0) * (samples[i - 1 - j] ?? 0);
    samples[i] = (samples[i] ?? 0) + Math.floor(sum * scale);
  }
}

/**
 * Reads the residuals from sample `order` on (§9.2.7): partitions of equal length, each with its
 * Rice parameter.
 */
function readResiduals(reader: BitReader, samples: Float64Array, order: number): void {
  const method = reader.unsigned(2);
  if (method > 1) throw damagedFlac(`residuals coded by method ${method}`);
  const parameterBits = method === 0 ? 4 : 5;
  const numPartitions = 2 ** reader.unsigned(4);
  const length = samples.length / numPartitions;
  if (!Number.isInteger(length) || length < order) {
    throw damagedFlac(`${numPartitions} partitions of ${samples.length} samples`);
  }
  for (let start = 0; start < samples.length; start += length) {
    const partition = samples.subarray(Math.max(start, order), start + length);
    const parameter = reader.unsigned(parameterBits);
    if (parameter < 2 ** parameterBits - 1) readRice(reader, partition, parameter);
    else readUncoded(reader, partition);
  }
}

function readUncoded(reader: BitReader, residuals: Float64Array): void {
  const width = reader.unsigned(5);
  if (width === 0) residuals.fill(0);
  else readSamples(reader, residuals, width);
}

function readRice(reader: BitReader, residuals: Float64Array, parameter: number): void {
  const factor = 2 ** parameter;
  for (let i = 0; i < residuals.length; i++) {
    const folded = reader.unary() * factor + reader.unsigned(parameter);
    if (folded > MAX_FOLDED) throw damagedFlac('a residual has more than 32 bits');
    residuals[i] = (folded >>> 1) ^ -(folded & 1);
  }
}
