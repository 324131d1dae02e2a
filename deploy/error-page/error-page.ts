import { status as grpcStatus } from '@grpc/grpc-js';
import { ERRORS, type ErrorReason, isErrorReason } from '#mesh/errors.ts';
import { TROUBLES } from './troubles.ts';

const HEAD = `# Errors

Every reason for which a request, a call between processes or a start can fail. \`npm run gen\` makes this page of
[errors.ts](errors.ts) and \`deploy/error-page/troubles.ts\`.

An HTTP answer carries the reason in lower case as \`error.code\`, which Anthropic's form lacks, and its place on this page as
\`error.doc\`. A gRPC status carries it in the trailer \`grpc-status-details-bin\`, a \`google.rpc.Status\` whose \`ErrorInfo\` has it as
\`reason\` and the place as \`metadata.doc\`; the field at fault is \`error.param\` and \`metadata.param\`. After the first token of a
stream the same body comes as its last event.

"Retried" means: the mesh itself asks another replica, up to \`max-attempts\` in all, if nothing of an answer has come yet, and
clients are told \`x-should-retry: true\`. An answer that has begun is not repeated but goes on at another replica, for up to
\`max-resumes\` losses.
`;

/** Writes the page of errors. */
export function errorPage(): string {
  const reasons = Object.keys(ERRORS).filter(isErrorReason);
  return [
    HEAD,
    '## Reasons\n',
    table(['reason', 'HTTP', 'gRPC', '`error.type`', 'retried'], reasons.map(rowOf)),
    ...reasons.map(chapterOf),
    '## In the words of the field\n',
    table(
      ['trouble', 'what is seen', 'what it means', 'what to do'],
      TROUBLES.map(({ name, seen, meaning, cure }) => [name, seen, meaning, cure]),
    ),
  ].join('\n');
}

function rowOf(reason: ErrorReason): string[] {
  const { http, status, type, retryElsewhere } = ERRORS[reason];
  return [
    `[\`${reason}\`](#${reason.toLowerCase()})`,
    String(http),
    grpcStatus[status] ?? '',
    `\`${type}\``,
    retryElsewhere ? 'yes' : 'no',
  ];
}

function chapterOf(reason: ErrorReason): string {
  const { meaning, cure } = ERRORS[reason];
  return `### ${reason}\n\n${meaning}\n\n**Cure**: ${cure}\n`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return `${line(head)}|${'---|'.repeat(head.length)}\n${rows.map(line).join('')}`;
}
