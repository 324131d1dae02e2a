import { deviceList } from '#mesh/devices/device-list.ts';
import {
  type Decoder,
  type KvCacheDtype,
  loadDecoder,
  type Quantize,
  type RandomDecoderShape,
} from '#native';
import { type BenchStep, blocksOf } from './bench-plan.ts';

/** Returns the bytes of a token's key or value of one head; auto is bfloat16, int8 has a scale. */
export function keyBytes(headDim: number, dtype: KvCacheDtype): number {
  if (dtype === 'int8') return headDim + 4;
  return headDim * (dtype === 'float32' ? 4 : 2);
}

/** Loads a decoder of random weights whose KV cache holds the sequences of each of the steps. */
export function loadBenchDecoder(
  shape: RandomDecoderShape,
  steps: readonly BenchStep[],
  options: {
    readonly device: string;
    readonly quantize: Quantize;
    readonly kvCacheDtype?: KvCacheDtype;
  },
): Promise<Decoder> {
  const blockSize = Math.max(...steps.map((step) => step.blockSize));
  const { device, ...others } = options;
  const rowBytes = keyBytes(shape.headDim, options.kvCacheDtype ?? 'auto');
  const blockBytes = 2 * shape.numLayers * shape.numKeyValueHeads * blockSize * rowBytes;
  return loadDecoder({
    model: { random: shape },
    weightDtype: 'bfloat16',
    activationDtype: 'bfloat16',
    blockSize,
    kvCacheBytes: blockBytes * Math.max(...steps.map(blocksOf)),
    maxNumBatchedTokens: Math.max(...steps.map((one) => one.numSequences * one.numTokens)),
    device: deviceList(device),
    ...others,
  });
}
