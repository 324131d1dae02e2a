/**
 * Counts operations of the matrix products in phone-nano's towers; norms and depthwise convolutions
 * have too few to count.
 */

/** Operations of a ViT over one screen: 24×12 patches and the class token. */
export const VISION_FLOPS_PER_IMAGE = vitFlops({
  numStates: 24 * 12 + 1,
  width: 192,
  mlpWidth: 768,
  numLayers: 12,
});

/** GLM-4.1V's vision tower, with the sizes of the language model that it leads to. */
export const GLM4V_TOWER = {
  textLayers: 0,
  hiddenSize: 4096,
  numHeads: 32,
  numKeyValueHeads: 2,
  headDim: 128,
  intermediateSize: 13_696,
  visionHiddenSize: 1536,
  visionHeads: 12,
} as const;

/** Counts the operations of GLM-4.1V's tower over the patches of one image. */
export function glm4vFlops(numPatches: number, numBlocks: number): number {
  const { visionHiddenSize: width, hiddenSize, intermediateSize } = GLM4V_TOWER;
  const projections = 2 * numPatches * (4 * width ** 2 + 3 * width * hiddenSize);
  const attention = 4 * numPatches ** 2 * width;
  const embedding = 2 * numPatches * (3 * 2 * 14 * 14) * width;
  // Four patches become one row, which a gated MLP leads to the language model.
  const perRow = 4 * width * hiddenSize + hiddenSize ** 2 + 3 * hiddenSize * intermediateSize;
  return numBlocks * (projections + attention) + embedding + (numPatches / 4) * 2 * perRow;
}

const CONFORMER = { width: 144, mlpWidth: 576, numLayers: 16 } as const;
const FRAMES_PER_SECOND = 25;

interface VitShape {
  readonly numStates: number;
  readonly width: number;
  readonly mlpWidth: number;
  readonly numLayers: number;
}

function vitFlops({ numStates, width, mlpWidth, numLayers }: VitShape): number {
  const projections = 2 * numStates * (4 * width ** 2 + 2 * width * mlpWidth);
  const attention = 4 * numStates ** 2 * width;
  return numLayers * (projections + attention);
}

/**
 * Counts the operations of a Conformer over a recording; those of attention grow with its square.
 */
export function speechFlops(seconds: number): number {
  const { width, mlpWidth, numLayers } = CONFORMER;
  const numFrames = FRAMES_PER_SECOND * seconds;
  // The terms are two feed-forward halves; four projections, twice as many positions, and three
  // parts of a convolution.
  const perFrame = 8 * width * mlpWidth + (8 + 4 + 6) * width ** 2;
  // Attention multiplies content, positions (twice as many) and values.
  const attention = 8 * numFrames * width;
  return numLayers * numFrames * (perFrame + attention);
}
