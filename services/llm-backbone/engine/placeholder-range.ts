import type { MediaModality } from '#mesh/modality.ts';

/** Position of one media item's embedding rows in a prompt. */
export interface PlaceholderRange {
  /** Index of the first placeholder token in the prompt. */
  readonly firstToken: number;
  readonly numTokens: number;
  readonly modality: MediaModality;
  /** Index of the item within its request. */
  readonly mediaIndex: number;
  /** Names the item's bytes and how they are preprocessed: equal keys have equal rows and grids. */
  readonly itemKey: string;
}
