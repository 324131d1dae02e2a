import type { MediaReference } from '#gateway/openai/request/media-reference.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { MediaModality } from '#mesh/modality.ts';

/** Most items of each modality in one request. */
export type ItemLimits = Readonly<Record<MediaModality, number>>;

/** Open-AutoGLM's launch flags allow this many screenshots; recordings have the same limit. */
const DEFAULT_LIMITS: ItemLimits = { image: 10, audio: 10 };

/**
 * Reads `limit-mm-per-prompt` in both of vLLM's forms: `{"image":10,"audio":1}` or
 * `image=10,audio=1`. A modality that is not named keeps its default.
 */
export function parseItemLimits(text: string): ItemLimits {
  const entries = text.trimStart().startsWith('{') ? jsonEntries(text) : pairs(text);
  let limits = DEFAULT_LIMITS;
  for (const [name, value] of entries) {
    if (name !== 'image' && name !== 'audio') {
      throw malformed(`"${name}" is not a modality, known are image and audio`);
    }
    if (!Number.isSafeInteger(value) || Number(value) < 0) {
      throw malformed(`${name} must be an integer from 0, got ${String(value)}`);
    }
    limits = { ...limits, [name]: Number(value) };
  }
  return limits;
}

function jsonEntries(text: string): [string, unknown][] {
  try {
    const json: unknown = JSON.parse(text);
    return isRecord(json) ? Object.entries(json) : [];
  } catch (cause: unknown) {
    throw malformed('not valid JSON', cause);
  }
}

function pairs(text: string): [string, unknown][] {
  return text
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map((pair) => {
      const [name = '', value = ''] = pair.split('=');
      return [name.trim(), /^\s*\d+\s*$/.test(value) ? Number(value) : value];
    });
}

function malformed(problem: string, cause?: unknown): MeshError {
  const message = `key "limit-mm-per-prompt": ${problem}; write image=10,audio=1 or {"image":10}`;
  return new MeshError('INVALID_REQUEST', message, { param: 'limit-mm-per-prompt', cause });
}

/** Refuses a request with too many items, before any of them is loaded. */
export function checkItemCounts(references: readonly MediaReference[], limits: ItemLimits): void {
  for (const modality of ['image', 'audio'] as const) {
    const items = references.filter((reference) => reference.modality === modality);
    const firstOver = items[limits[modality]];
    if (firstOver === undefined) continue;
    const { param } = firstOver;
    const message = `${param}: the request has ${items.length} ${modality} items, at most ${limits[modality]} are allowed`;
    throw new MeshError('INVALID_REQUEST', message, { param });
  }
}
