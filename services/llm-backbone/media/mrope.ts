import assert from 'node:assert/strict';
import type { MropePositions } from '#backbone/engine/sequence.ts';

/** Placeholder tokens of one picture, or of one temporal slot of a video, in row-major order. */
export interface ImageRun {
  /** Index of the first placeholder in the prompt. */
  readonly firstToken: number;
  /** Rows and columns of tokens in the picture: the patch grid divided by the merge size. */
  readonly numRows: number;
  readonly numColumns: number;
}

/**
 * Computes the three-dimensional rotary positions of a prompt as GLM-4.1V does. Text advances all
 * axes together. A picture's tokens share one t and spread over h and w; the text after it
 * continues from the larger of its two sides, so a picture takes far fewer positions than it has
 * tokens.
 *
 * `runs` are in prompt order and do not overlap.
 */
export function mropePositions(numTokens: number, runs: readonly ImageRun[]): MropePositions {
  const positions = new Int32Array(3 * numTokens);
  const t = positions.subarray(0, numTokens);
  const h = positions.subarray(numTokens, 2 * numTokens);
  const w = positions.subarray(2 * numTokens);
  let token = 0;
  let position = 0;

  const advanceText = (end: number): void => {
    assert(token <= end && end <= numTokens, `image run outside the prompt at token ${end}`);
    for (; token < end; token += 1, position += 1) {
      t[token] = position;
      h[token] = position;
      w[token] = position;
    }
  };

  for (const run of runs) {
    advanceText(run.firstToken);
    assert(token + run.numRows * run.numColumns <= numTokens, 'image run past the prompt');
    for (let row = 0; row < run.numRows; row += 1) {
      for (let column = 0; column < run.numColumns; column += 1, token += 1) {
        t[token] = position;
        h[token] = position + row;
        w[token] = position + column;
      }
    }
    position += Math.max(run.numRows, run.numColumns);
  }
  advanceText(numTokens);
  return { positions, delta: position - numTokens };
}
