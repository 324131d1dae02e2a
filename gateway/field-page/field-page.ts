import { checkCount, checkMessage } from '#gateway/anthropic/message-request.ts';
import { COUNT_USES, MESSAGE_USES } from '#gateway/anthropic/message-uses.ts';
import { EMBEDDING_USES } from '#gateway/openai/fields/embedding-uses.ts';
import { EMPTY, type FieldTable, type FieldUse } from '#gateway/openai/fields/field-use.ts';
import {
  CHAT_USES,
  COMPLETION_USES,
  DETOKENIZE_USES,
  TOKENIZE_USES,
  TRANSCRIPTION_USES,
} from '#gateway/openai/fields/request-uses.ts';
import { checkChat } from '#gateway/openai/request/chat-request.ts';
import type { BodyCheck, DescribedField } from '#gateway/openai/request/check.ts';
import { checkCompletion } from '#gateway/openai/request/completion-request.ts';
import { checkEmbedding } from '#gateway/openai/request/embedding-request.ts';
import { checkDetokenize, checkTokenize } from '#gateway/openai/request/tokenize-request.ts';
import { checkTranscription } from '#gateway/openai/request/transcription-request.ts';
import { checkResponse } from '#gateway/responses/response-request.ts';
import { RESPONSE_USES } from '#gateway/responses/response-uses.ts';

/** Where the page is, below the root of the package. */
export const FIELD_PAGE = 'gateway/FIELDS.md';

/** The routes whose bodies have a table of fields, with the check that uses it. */
export const ROUTE_FIELDS: readonly {
  readonly path: string;
  readonly uses: FieldTable;
  readonly check: BodyCheck<unknown>;
}[] = [
  { path: '/v1/chat/completions', uses: CHAT_USES, check: checkChat },
  { path: '/v1/completions', uses: COMPLETION_USES, check: checkCompletion },
  { path: '/v1/embeddings', uses: EMBEDDING_USES, check: checkEmbedding },
  { path: '/v1/responses', uses: RESPONSE_USES, check: checkResponse },
  { path: '/v1/messages', uses: MESSAGE_USES, check: checkMessage },
  { path: '/v1/messages/count_tokens', uses: COUNT_USES, check: checkCount },
  { path: '/v1/audio/transcriptions', uses: TRANSCRIPTION_USES, check: checkTranscription },
  { path: '/tokenize', uses: TOKENIZE_USES, check: checkTokenize },
  { path: '/detokenize', uses: DETOKENIZE_USES, check: checkDetokenize },
];

const HEAD = `# Request fields

What this server does with every field of the requests of OpenAI, vLLM, SGLang, llama.cpp and Anthropic. \`npm run gen\` makes this
page of the tables and schemas by which the routes judge their bodies (\`openai/fields/\`, \`openai/request/\`, \`responses/\`, \`anthropic/\`).

- **honoured**: it has its effect; another value is 400 \`invalid_request\` with the field in \`error.param\`.
- **ignored**: it is accepted with any value, because the answer is the same without it.
- **refused**: it is 400 \`invalid_request\` with the field in \`error.param\`, because the answer would not be the one asked for. A
  value in brackets asks for nothing and is accepted.

A field that is \`null\` counts as left out, and the fields of an object \`extra_body\` join the request. A field that is not on this
page is accepted, has no effect, and is named in the header \`x-autoglm-warning\`. Errors of \`/v1/messages\` have Anthropic's form, whose
message begins with the field.
`;

/** Writes the page of request fields. */
export function fieldPage(): string {
  const chapters = ROUTE_FIELDS.map(({ path, uses, check }) => {
    const rows = rowsOf(uses, check.fields, '');
    return `## POST ${path}\n\n| field | use | values, or why |\n|---|---|---|\n${rows.join('')}`;
  });
  return [HEAD, ...chapters].join('\n');
}

const USES = { honoured: 'honoured', harmless: 'ignored', refused: 'refused' } as const;

/** Writes a line for each field, those of an object below it. */
function rowsOf(uses: FieldTable, described: readonly DescribedField[], at: string): string[] {
  return [...uses]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([name, use]) => {
      const field = described.find((one) => one.name === name);
      const path = at + name;
      const row = `| \`${path}\` | ${USES[use.kind]} | ${noteOf(use, field).replaceAll('|', '\\|')} |\n`;
      if (use.kind !== 'honoured' || use.fields === undefined) return [row];
      return [row, ...rowsOf(use.fields, field?.fields ?? [], `${path}.`)];
    });
}

function noteOf(use: FieldUse, field: DescribedField | undefined): string {
  if (use.kind === 'honoured') return field?.description ?? '';
  if (use.kind === 'harmless' || use.idle.length === 0) return use.why;
  return `${use.why} (${use.idle.map(idleValue).join(', ')})`;
}

function idleValue(value: unknown): string {
  return value === EMPTY ? 'an empty value' : `\`${JSON.stringify(value)}\``;
}
