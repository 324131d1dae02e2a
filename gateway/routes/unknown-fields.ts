import { requestFields } from '#gateway/http/request-fields.ts';
import type { UnknownField } from '#gateway/openai/fields/check-fields.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Exchange } from './answer-call.ts';

const WARNING_HEADER = 'x-autoglm-warning';

/** Most characters of a field's path in a header or a log line. */
const MAX_PATH_CHARS = 80;

/**
 * Says in a header of the answer and in the log which fields of a request were ignored because
 * nobody knows them. A misspelled one is a warning in the log, for its client meant something.
 */
export function reportUnknownFields(
  fields: readonly UnknownField[],
  log: Log,
  { request, reply }: Exchange,
): void {
  if (fields.length === 0) return;
  const notices = fields.map(notice);
  reply.header(WARNING_HEADER, notices.join(', '));
  const facts = requestFields(request);
  const line = `ignored unknown fields of a request: ${notices.join(', ')}`;
  if (fields.some(({ meant }) => meant !== undefined)) log.warn(facts, line);
  else log.info(facts, line);
}

function notice({ path, meant }: UnknownField): string {
  // A header takes printable ASCII only, and a name may hold anything.
  const shown = path.slice(0, MAX_PATH_CHARS).replaceAll(/[^\x20-\x7e]/g, '?');
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  return `${shown} is not known${hint}`;
}
