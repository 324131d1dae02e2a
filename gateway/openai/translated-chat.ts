import { clientError, clientField } from './client-error.ts';
import type { FieldNames } from './field-names.ts';
import { type ChatRequest, parseChatRequest } from './request/chat-request.ts';

/**
 * Reads a request of another API that was written as a chat, whose undefined fields are unset.
 * `names` has the client's path for paths in the chat, so that refusals, media and
 * the form are in its words.
 */
export function parseTranslatedChat(
  chat: Readonly<Record<string, unknown>>,
  names: FieldNames,
): ChatRequest {
  const body = Object.fromEntries(Object.entries(chat).filter(([, value]) => value !== undefined));
  try {
    const { media, formField, ...parsed } = parseChatRequest(body);
    const references = media.references.map((reference) => {
      return { ...reference, param: clientField(reference.param, names) };
    });
    return {
      media: { ...media, references },
      formField: formField === undefined ? undefined : clientField(formField, names),
      ...parsed,
    };
  } catch (error: unknown) {
    throw clientError(error, { fields: names, references: [] });
  }
}
