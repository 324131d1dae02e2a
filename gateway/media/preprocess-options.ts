import { excerpt } from '#mesh/client-text.ts';
import { type MaxPixelsReading, WIRE_MAX_PIXELS_MODES } from '#mesh/encode/preprocess-options.ts';
import { MeshError } from '#mesh/errors.ts';
import { briefly, isRecord } from '#mesh/json-value.ts';
import { MaxPixelsMode, type PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';

export interface ProcessorKwargs {
  /** `mm_processor_kwargs` as the command line or a request gives them. */
  readonly kwargs: unknown;
  /** Reading of `max_pixels` and `min_pixels`. */
  readonly reading: MaxPixelsReading;
  /** Name of the option or field that gave them, for a refusal. */
  readonly param: string;
}

type Kwargs = Readonly<Record<string, unknown>>;

/** Largest bound of an image's size, pixels: the most that towers count. */
const MAX_PIXELS = 2 ** 32;

/** Names of the bounds of an image's size. */
const BOUNDS = ['max_pixels', 'min_pixels', 'size'] as const;

/** Steps of the reference's processors that are always done. */
const STEPS: ReadonlySet<string> = new Set([
  'do_convert_rgb',
  'do_normalize',
  'do_rescale',
  'do_resize',
]);

/** Facts of a checkpoint, which its tower was trained with. */
const OF_CHECKPOINT: ReadonlySet<string> = new Set([
  'image_mean',
  'image_std',
  'merge_size',
  'patch_size',
  'resample',
  'rescale_factor',
  'temporal_patch_size',
]);

/** Options of the reference's video processors. */
const OF_VIDEOS: ReadonlySet<string> = new Set([
  'do_sample_frames',
  'fps',
  'max_duration',
  'max_image_size',
  'num_frames',
  'return_metadata',
  'video_metadata',
]);

/**
 * Translates `mm_processor_kwargs`, the names of the reference's GLM processors; refuses options
 * that cannot be honoured and ignores none.
 */
export function preprocessOptions({ kwargs, reading, param }: ProcessorKwargs): PreprocessOptions {
  const given = givenOf(kwargs, param);
  for (const [name, value] of Object.entries(given)) checkName(name, { value, param });
  const bounds = boundsOf(given, { reading, param });
  const { maxPixels, minPixels, maxPixelsMode } = bounds;
  const isRead = maxPixelsMode !== MaxPixelsMode.MAX_PIXELS_MODE_IGNORE;
  if (isRead || (maxPixels === undefined && minPixels === undefined)) return bounds;
  const name = maxPixels === undefined ? 'min_pixels' : 'max_pixels';
  throw refusal(`${param}.${name}`, 'is not read by this server (max-pixels-mode: ignore)');
}

/**
 * Reads the `mm-processor-kwargs` option, a JSON object as text. Launch lines are shared between
 * servers, so what has no effect here gets a warning instead of a refusal.
 */
export function parseProcessorKwargs(
  text: string,
  reading: MaxPixelsReading,
  warn: (message: string) => void,
): PreprocessOptions {
  const param = 'mm-processor-kwargs';
  const given = givenOf(parseJson(text, param), param);
  const hasNoEffect = (name: string) =>
    OF_VIDEOS.has(name) ||
    (reading === 'ignore' && (name === 'max_pixels' || name === 'min_pixels'));
  for (const name of Object.keys(given).filter(hasNoEffect)) {
    const why = OF_VIDEOS.has(name) ? 'no videos are taken' : 'max-pixels-mode is ignore';
    warn(`key "${param}": ${name} has no effect: ${why}`);
  }
  const kwargs = Object.fromEntries(Object.entries(given).filter(([name]) => !hasNoEffect(name)));
  return preprocessOptions({ kwargs, reading, param });
}

function parseJson(text: string, param: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause: unknown) {
    const message = `key "${param}": not valid JSON; write {"max_pixels":5000000}`;
    throw new MeshError('INVALID_REQUEST', message, { param, cause });
  }
}

/** Returns the options that have a value; null is the reference's word for none. */
function givenOf(kwargs: unknown, param: string): Kwargs {
  if (!isRecord(kwargs)) throw refusal(param, `must be an object, got ${briefly(kwargs)}`);
  return Object.fromEntries(Object.entries(kwargs).filter(([, value]) => value !== null));
}

function checkName(
  name: string,
  { value, param }: { readonly value: unknown; readonly param: string },
) {
  if (BOUNDS.some((bound) => bound === name)) return;
  const at = `${param}.${excerpt(name)}`;
  if (STEPS.has(name)) {
    if (value === true) return;
    throw refusal(at, `can only be true here, got ${briefly(value)}`);
  }
  if (OF_CHECKPOINT.has(name)) throw refusal(at, "is the checkpoint's and cannot be changed");
  if (OF_VIDEOS.has(name)) throw refusal(at, 'is for videos, which this server does not take');
  const known = [...BOUNDS, ...STEPS].join(', ');
  throw refusal(at, `is not known; known are ${known}`);
}

interface BoundsContext {
  readonly reading: MaxPixelsReading;
  readonly param: string;
}

/** Reads the bounds: `size` holds volumes, as the checkpoint's own does. */
function boundsOf(given: Kwargs, { reading, param }: BoundsContext): PreprocessOptions {
  const { size } = given;
  if (size === undefined) {
    const names = { max: 'max_pixels', min: 'min_pixels' };
    return { ...pixelBounds(given, names, param), maxPixelsMode: WIRE_MAX_PIXELS_MODES[reading] };
  }
  if (given['max_pixels'] !== undefined || given['min_pixels'] !== undefined) {
    throw refusal(`${param}.size`, 'cannot stand beside max_pixels or min_pixels');
  }
  const at = `${param}.size`;
  const names = { max: 'longest_edge', min: 'shortest_edge' };
  const isSize =
    isRecord(size) && Object.keys(size).every((name) => Object.values(names).includes(name));
  if (!isSize) throw refusal(at, 'must be an object with shortest_edge and longest_edge');
  return { ...pixelBounds(size, names, at), maxPixelsMode: MaxPixelsMode.MAX_PIXELS_MODE_VOLUME };
}

interface BoundNames {
  readonly max: string;
  readonly min: string;
}

function pixelBounds(
  given: Kwargs,
  { max, min }: BoundNames,
  param: string,
): Pick<PreprocessOptions, 'maxPixels' | 'minPixels'> {
  const maxPixels = pixels(given[max], `${param}.${max}`);
  const minPixels = pixels(given[min], `${param}.${min}`);
  if (maxPixels !== undefined && minPixels !== undefined && minPixels > maxPixels) {
    throw refusal(`${param}.${min}`, `must be at most ${max}, got ${minPixels}`);
  }
  return { ...(maxPixels && { maxPixels }), ...(minPixels && { minPixels }) };
}

function pixels(value: unknown, param: string): bigint | undefined {
  if (value === undefined || value === null) return undefined;
  if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= MAX_PIXELS) {
    return BigInt(Number(value));
  }
  throw refusal(param, `must be an integer from 1 to ${MAX_PIXELS}, got ${briefly(value)}`);
}

function refusal(param: string, problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${param} ${problem}`, { param });
}
