import type { MediaReference } from './media-reference.ts';

/** The media of a prompt as a request gives them; its parts refer to them by index. */
export interface PromptMedia {
  readonly references: readonly MediaReference[];
  /** The request's own `mm_processor_kwargs`. */
  readonly processorKwargs: Readonly<Record<string, unknown>> | undefined;
}
