import type { Span } from '#backbone/template/text.ts';
import type { ErrorReason } from '#mesh/errors.ts';
import type { ChatTemplateSource, RenderOptions } from './chat-template.ts';
import type { TemplateMessage } from './template-message.ts';

/** What the thread that renders is started with. */
export interface RenderSetup {
  readonly source: ChatTemplateSource;
}

/** A conversation that the thread is to render. */
export interface RenderJob {
  readonly messages: readonly TemplateMessage[];
  readonly options: RenderOptions;
}

/** What comes back from the thread. */
export type RenderAnswer =
  | { readonly kind: 'text'; readonly value: string; readonly spans: readonly Span[] }
  | {
      readonly kind: 'refusal';
      readonly reason: ErrorReason;
      readonly message: string;
      readonly param: string | undefined;
    }
  | { readonly kind: 'failure'; readonly message: string };
