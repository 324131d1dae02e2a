/** A part of a message; media stand as their kind alone. */
export type TemplatePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image' | 'audio' };

/** A message as templates read it. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string | readonly TemplatePart[];
  readonly metadata?: string;
}
