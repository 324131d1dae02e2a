import { numValues, type TensorEntry } from './safetensors-file.ts';

/** Draws the weights of a model from one seed. */
export class RandomWeights {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Draws uniform values; a product with them keeps the variance of its input. */
  matrix(name: string, shape: readonly [number, ...number[]]): TensorEntry {
    const bound = Math.sqrt(3 / numValues(shape.slice(1)));
    const values = () => {
      const drawn = new Float32Array(numValues(shape));
      for (let i = 0; i < drawn.length; i++) drawn[i] = bound * (2 * this.#next() - 1);
      return toBfloat16(drawn);
    };
    return { name, shape, values };
  }

  /** Returns the weight of a norm. */
  ones(name: string, size: number): TensorEntry {
    return { name, shape: [size], values: () => toBfloat16(new Float32Array(size).fill(1)) };
  }

  bias(name: string, size: number): TensorEntry {
    return { name, shape: [size], values: () => new Uint16Array(size) };
  }

  /** Draws a number in [0, 1) by Numerical Recipes' linear congruential generator. */
  #next(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }
}

/** Converts by truncation, which is good enough for random values. */
function toBfloat16(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.buffer);
  const upper = new Uint16Array(values.length);
  for (let i = 0; i < upper.length; i++) upper[i] = halves[2 * i + 1] ?? 0;
  return upper;
}
