import type { RandomDecoderShape } from '#native';

/** Decoder shapes with all their layers. */
export const DECODER_SHAPES = {
  'glm4-9b': {
    hiddenSize: 4096,
    numLayers: 40,
    numAttentionHeads: 32,
    numKeyValueHeads: 2,
    headDim: 128,
    intermediateSize: 13_696,
    vocabSize: 151_552,
    maxPositionEmbeddings: 32_768,
  },
  'phone-nano': {
    hiddenSize: 256,
    numLayers: 8,
    numAttentionHeads: 8,
    numKeyValueHeads: 2,
    headDim: 32,
    intermediateSize: 768,
    vocabSize: 1490,
    maxPositionEmbeddings: 8192,
  },
} as const satisfies Record<string, RandomDecoderShape>;

/**
 * Counts the weights of the layers that multiply every token; biases and norms are too few to
 * count.
 */
export function layerParameters(shape: RandomDecoderShape): number {
  const { hiddenSize, numAttentionHeads, numKeyValueHeads, headDim, intermediateSize } = shape;
  const query = hiddenSize * numAttentionHeads * headDim;
  const keyValue = 2 * hiddenSize * numKeyValueHeads * headDim;
  const mlp = 3 * hiddenSize * intermediateSize;
  return shape.numLayers * (2 * query + keyValue + mlp);
}

/**
 * Counts the weights of the output head, which multiply only the rows whose logits are computed.
 */
export function headParameters(shape: RandomDecoderShape): number {
  return shape.hiddenSize * shape.vocabSize;
}
