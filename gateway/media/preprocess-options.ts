import { excerpt } from '#mesh/client-text.ts';
import { type MaxPixelsReading, WIRE_MAX_PIXELS_MODES } from '#mesh/encode/preprocess-options.ts';
import { MeshError } from '#mesh/errors.ts';
import { briefly, isRecord } from '#mesh/json-value.ts';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';

export interface ProcessorKwargs {
  /** `mm_processor_kwargs` as the command line or a request gives them. */
  readonly kwargs: unknown;
  readonly reading: MaxPixelsReading;
  /** Name of the option or field that gave them, for a refusal. */
  readonly param: string;
}

/** Translates `mm_processor_kwargs`; refuses options that cannot be honoured and ignores none. */
export function preprocessOptions({ kwargs, reading, param }: ProcessorKwargs): PreprocessOptions {
  if (!isRecord(kwargs)) throw refusal(param, `must be an object, got ${briefly(kwargs)}`);
  const unknown = Object.keys(kwargs).find((name) => name !== 'max_pixels');
  if (unknown !== undefined) {
    throw refusal(`${param}.${excerpt(unknown)}`, 'is not known; known is max_pixels');
  }
  const maxPixels = kwargs['max_pixels'];
  if (maxPixels === undefined) return { maxPixelsMode: WIRE_MAX_PIXELS_MODES[reading] };
  if (!Number.isSafeInteger(maxPixels) || Number(maxPixels) < 1) {
    const problem = `must be an integer from 1, got ${briefly(maxPixels)}`;
    throw refusal(`${param}.max_pixels`, problem);
  }
  return { maxPixels: BigInt(Number(maxPixels)), maxPixelsMode: WIRE_MAX_PIXELS_MODES[reading] };
}

/** Reads the `mm-processor-kwargs` option, a JSON object as text. */
export function parseProcessorKwargs(text: string, reading: MaxPixelsReading): PreprocessOptions {
  const param = 'mm-processor-kwargs';
  let kwargs: unknown;
  try {
    kwargs = JSON.parse(text);
  } catch (cause: unknown) {
    const message = `key "${param}": not valid JSON; write {"max_pixels":5000000}`;
    throw new MeshError('INVALID_REQUEST', message, { param, cause });
  }
  return preprocessOptions({ kwargs, reading, param });
}

function refusal(param: string, problem: string): MeshError {
  return new MeshError('INVALID_REQUEST', `${param} ${problem}`, { param });
}
