import { type Static, Type } from 'typebox';
import { bytesOfMb } from '#mesh/megabytes.ts';
import type { ByteLimits } from './byte-budget.ts';

/** Options of media loading, to be spread into the gateway's. */
export const mediaProperties = {
  mediaFetch: Type.Union([Type.Literal('on'), Type.Literal('off')], {
    default: 'on',
    description: 'fetch media from http and https URLs; off accepts inline media only',
  }),
  allowedMediaDomains: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description:
      'hosts media may be fetched from, *.example.com for all below; none: any public one',
  }),
  mediaFetchTimeoutS: Type.Number({
    exclusiveMinimum: 0,
    maximum: 600,
    default: 10,
    description: 'time a media item has to be fetched, redirects included, seconds',
  }),
  mediaFetchConcurrency: Type.Integer({
    minimum: 1,
    maximum: 4096,
    default: 256,
    description:
      'media fetches at the same time, of one client half and from one host a quarter; the others wait',
  }),
  mediaFetchAllowPrivate: Type.Boolean({
    default: false,
    description:
      'fetch from private addresses, any port and by http after https; for closed networks only',
  }),
  maxMediaMb: Type.Number({
    exclusiveMinimum: 0,
    maximum: 512,
    default: 20,
    description: 'largest media item, MB',
  }),
  maxTotalMediaMb: Type.Number({
    exclusiveMinimum: 0,
    maximum: 4096,
    default: 64,
    description: 'all media of one request, MB',
  }),
  limitMmPerPrompt: Type.String({
    default: '',
    description: 'most media items of one request, {"image":10,"audio":1} or image=10; unnamed: 10',
  }),
  mmProcessorKwargs: Type.String({
    default: '{}',
    description:
      'image preprocessing as JSON: max_pixels, min_pixels, size; {"max_pixels":5000000}',
  }),
  maxPixelsMode: Type.Union(
    [Type.Literal('ignore'), Type.Literal('volume'), Type.Literal('area')],
    {
      default: 'area',
      description:
        'max_pixels bounds height × width of a resized image (area), or frames × height × width (volume), or is not read (ignore)',
    },
  ),
  allowedLocalMediaPath: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'folder below which file:// URLs are read; unset: none',
    }),
  ),
} as const;

const mediaOptions = Type.Object(mediaProperties);

export type MediaOptions = Static<typeof mediaOptions>;

export function mediaLimits(options: MediaOptions): ByteLimits {
  return {
    maxItemBytes: bytesOfMb(options.maxMediaMb),
    maxTotalBytes: bytesOfMb(options.maxTotalMediaMb),
  };
}
