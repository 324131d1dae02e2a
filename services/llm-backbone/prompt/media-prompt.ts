import type { PlaceholderRange } from '#backbone/engine/placeholder-range.ts';
import type { MropePositions } from '#backbone/engine/sequence.ts';
import type { ItemShape, MediaIdentity } from '#backbone/media/media-item.ts';
import { type ImageRun, mropePositions } from '#backbone/media/mrope.ts';
import { MeshError } from '#mesh/errors.ts';
import type { MediaModality } from '#mesh/modality.ts';

/** How a checkpoint writes media into a prompt. */
export interface MediaSyntax {
  /** Token that stands for one row of an item; undefined if the checkpoint has none. */
  readonly placeholderIds: Readonly<Record<MediaModality, number | undefined>>;
  /** Patches on a side of the square that becomes one row. */
  readonly mergeSize: number;
  /** Tells whether pictures spread over three rotary axes. */
  readonly hasMrope: boolean;
}

/** The single placeholder an item has before its rows are counted. */
export interface Placeholder {
  /** Index of the placeholder's token in the prompt. */
  readonly token: number;
  readonly mediaIndex: number;
}

/** The tokens of a prompt and the items in them. */
export interface ExpandedPrompt {
  readonly tokenIds: readonly number[];
  readonly placeholders: readonly PlaceholderRange[];
}

/**
 * Pairs the placeholders of a tokenized prompt with the items it names, each kind in its own order.
 * `references` are media indices in the order the prompt names them. The numbers must agree,
 * because text that spells out a placeholder would shift every later pair.
 */
export function findPlaceholders(
  tokenIds: readonly number[],
  syntax: MediaSyntax,
  media: { readonly items: readonly MediaIdentity[]; readonly references: readonly number[] },
): readonly Placeholder[] {
  const found = (['image', 'audio'] as const).flatMap((modality) => {
    const id = syntax.placeholderIds[modality];
    const tokens = tokenIds.flatMap((tokenId, token) => (tokenId === id ? [token] : []));
    const named = media.references.filter((index) => media.items[index]?.modality === modality);
    if (tokens.length !== named.length) {
      const message = `the prompt has ${tokens.length} placeholders for ${modality} items and names ${named.length} of them; each item needs one, and text must not spell one out`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'prompt' });
    }
    return tokens.map((token, i) => ({ token, mediaIndex: named[i] ?? 0 }));
  });
  return found.sort((a, b) => a.token - b.token);
}

/** Repeats each placeholder token once for every row of its item. */
export function expandPlaceholders(
  tokenIds: readonly number[],
  placeholders: readonly Placeholder[],
  media: { readonly items: readonly MediaIdentity[]; readonly shapes: readonly ItemShape[] },
): ExpandedPrompt {
  const expanded: number[] = [];
  const ranges: PlaceholderRange[] = [];
  let next = 0;
  for (const { token, mediaIndex } of placeholders) {
    const [item, shape] = [media.items[mediaIndex], media.shapes[mediaIndex]];
    const tokenId = tokenIds[token];
    if (item === undefined || shape === undefined || tokenId === undefined) continue;
    append(expanded, tokenIds.slice(next, token));
    ranges.push({
      firstToken: expanded.length,
      numTokens: shape.numRows,
      modality: item.modality,
      mediaIndex,
      itemKey: item.key,
    });
    for (let row = 0; row < shape.numRows; row++) expanded.push(tokenId);
    next = token + 1;
  }
  append(expanded, tokenIds.slice(next));
  return { tokenIds: expanded, placeholders: ranges };
}

/**
 * Appends ids one by one: the arguments of `push(...tokenIds)` would overflow the stack if the
 * prompt is long.
 */
function append(list: number[], tokenIds: readonly number[]): void {
  for (const id of tokenIds) list.push(id);
}

/** Drops the first `numTokens` tokens; refuses to lose any row of an item. */
export function cutFront(
  { tokenIds, placeholders }: ExpandedPrompt,
  numTokens: number,
): ExpandedPrompt {
  const lost = placeholders.find(({ firstToken }) => firstToken < numTokens);
  if (lost !== undefined) {
    const message = `prompt.max_prompt_tokens: keeping the last ${tokenIds.length - numTokens} of ${tokenIds.length} tokens would cut media item ${lost.mediaIndex}; keep more or send it later in the prompt`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'prompt.max_prompt_tokens' });
  }
  return {
    tokenIds: tokenIds.slice(numTokens),
    placeholders: placeholders.map((range) => ({
      ...range,
      firstToken: range.firstToken - numTokens,
    })),
  };
}

/** Returns the rotary positions of a prompt with pictures; null if they are those of plain text. */
export function rotaryPositions(
  { tokenIds, placeholders }: ExpandedPrompt,
  shapes: readonly ItemShape[],
  { hasMrope, mergeSize }: MediaSyntax,
): MropePositions | null {
  if (!hasMrope) return null;
  const runs = placeholders.flatMap((range): ImageRun[] => {
    const grid = shapes[range.mediaIndex]?.grid;
    if (range.modality !== 'image' || grid === undefined) return [];
    const [numRows, numColumns] = [grid.h / mergeSize, grid.w / mergeSize];
    if (numRows * numColumns !== range.numTokens) {
      const message = `the vision encoder plans ${range.numTokens} rows for a grid of ${grid.h}×${grid.w} patches merged ${mergeSize}×${mergeSize}`;
      throw new MeshError('ENGINE_FAILED', message);
    }
    return [{ firstToken: range.firstToken, numRows, numColumns }];
  });
  return runs.length === 0 ? null : mropePositions(tokenIds.length, runs);
}
