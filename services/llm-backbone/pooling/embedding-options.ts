import { MeshError } from '#mesh/errors.ts';
import { type EmbeddingOptions, Pooling } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { EmbeddingForm } from './embedding.ts';
import type { PoolingKind } from './prompt-pooling.ts';

/** Widths to which a model's embeddings may be cut. */
export interface EmbeddingWidths {
  readonly hiddenSize: number;
  /** The only widths, or all; null if the model was not trained for any but its own. */
  readonly matryoshka: readonly number[] | 'all' | null;
}

/** An embedding as a request wants it. */
export interface RequestedEmbedding extends EmbeddingForm {
  readonly pooling: PoolingKind;
}

/** Completes the options of a request; refuses dimensions that the model has no embeddings of. */
export function readEmbeddingOptions(
  { pooling, dimensions, normalize = true }: EmbeddingOptions,
  widths: EmbeddingWidths,
): RequestedEmbedding {
  if (dimensions !== undefined) checkDimensions(dimensions, widths);
  return { pooling: poolingKind(pooling), dimensions, normalize };
}

function poolingKind(pooling: Pooling): PoolingKind {
  switch (pooling) {
    case Pooling.POOLING_UNSPECIFIED:
    case Pooling.POOLING_LAST:
      return 'last';
    case Pooling.POOLING_MEAN:
      return 'mean';
    default:
      throw refusal('pooling', `${pooling} is unknown`);
  }
}

function checkDimensions(dimensions: number, { hiddenSize, matryoshka }: EmbeddingWidths): void {
  if (matryoshka === null) {
    const why = `got ${dimensions}; the model's embeddings have ${hiddenSize} numbers and are not made to be cut (matryoshka_dimensions or is_matryoshka in its config.json)`;
    throw refusal('dimensions', why);
  }
  const isKnown = matryoshka === 'all' || matryoshka.includes(dimensions);
  if (isKnown && dimensions >= 1 && dimensions <= hiddenSize) return;
  const allowed = matryoshka === 'all' ? `1 to ${hiddenSize}` : matryoshka.join(', ');
  throw refusal('dimensions', `got ${dimensions}, allowed is ${allowed}`);
}

function refusal(field: string, why: string): MeshError {
  const param = `embedding.${field}`;
  return new MeshError('INVALID_REQUEST', `${param}: ${why}`, { param });
}
