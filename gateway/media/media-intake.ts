import type { MediaReference, RequestedMedia } from '#gateway/openai/request/media-reference.ts';
import { MeshError } from '#mesh/errors.ts';
import { modalitiesOf } from '#mesh/modality.ts';
import type { PreprocessOptions } from '#protos/autoglm/common/v1/media.ts';
import type { GetModelResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { createMediaLoader, type WarningLog } from './create-media-loader.ts';
import type { LoadCall, LoadedMedia, MediaLoader } from './media-loader.ts';
import type { MediaOptions } from './media-options.ts';
import { parseProcessorKwargs, preprocessOptions } from './preprocess-options.ts';

/** Media that a request may send, before their bytes are loaded. */
export interface AdmissibleMedia {
  readonly references: readonly MediaReference[];
  readonly options: PreprocessOptions;
}

/** Takes in the media of requests according to this server's options. */
export class MediaIntake {
  readonly #loader: MediaLoader;
  readonly #reading: MediaOptions['maxPixelsMode'];
  readonly #options: PreprocessOptions;

  constructor(options: MediaOptions, log: WarningLog) {
    this.#loader = createMediaLoader(options, log);
    this.#reading = options.maxPixelsMode;
    this.#options = parseProcessorKwargs(
      options.mmProcessorKwargs,
      options.maxPixelsMode,
      (message) => log.warn(message),
    );
  }

  /** Refuses, before anything is loaded, media the model cannot read and unknown options. */
  check({ references, processorKwargs }: RequestedMedia, model: GetModelResponse): AdmissibleMedia {
    checkModalities(references, model);
    if (processorKwargs === undefined) return { references, options: this.#options };
    const own = preprocessOptions({
      kwargs: processorKwargs,
      reading: this.#reading,
      param: 'mm_processor_kwargs',
    });
    return { references, options: joined(this.#options, own) };
  }

  /** Returns the loaded items in their order, ready to be sent. */
  async load({ references }: AdmissibleMedia, call: LoadCall): Promise<LoadedMedia[]> {
    return references.length === 0 ? [] : await this.#loader.load(references, call);
  }
}

/** Returns a request's options, with the server's for those it leaves open, if both read alike. */
function joined(server: PreprocessOptions, own: PreprocessOptions): PreprocessOptions {
  if (own.maxPixels === undefined && own.minPixels === undefined) return server;
  return own.maxPixelsMode === server.maxPixelsMode ? { ...server, ...own } : own;
}

function checkModalities(references: readonly MediaReference[], model: GetModelResponse): void {
  const readable = modalitiesOf(model);
  const foreign = references.find(({ modality }) => !readable.includes(modality));
  if (foreign === undefined) return;
  const { param, modality } = foreign;
  const message = `${param}: the model reads no ${modality}, only ${['text', ...readable].join(', ')}`;
  throw new MeshError('UNSUPPORTED_MEDIA', message, { param });
}
