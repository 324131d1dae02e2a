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
