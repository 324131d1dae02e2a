import { MeshError } from '#mesh/errors.ts';
import type { FetchDeadline } from './fetch-deadline.ts';

export interface FailureContext {
  readonly param: string;
  readonly deadline: FetchDeadline;
}

/**
 * Error codes of the resolver, the socket, TLS and undici, each with its meaning for the client.
 */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:ENOTFOUND|ENODATA|ESERVFAIL|EREFUSED|EBADRESP|EFORMERR|ENOTIMP|ETIMEOUT|ECANCELLED)$/,
    'its host name could not be resolved',
  ],
  [/^(?:UND_ERR_CONNECT_TIMEOUT|ETIMEDOUT)$/, 'its server did not accept the connection in time'],
  [/^CERT_HAS_EXPIRED$/, "its server's certificate has expired"],
  [/^CERT_NOT_YET_VALID$/, "its server's certificate is not valid yet"],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "its server's certificate is for another host name"],
  [/^\w*SELF_SIGNED\w*$/, "its server's certificate is self-signed"],
  [
    /^UNABLE_TO_\w+$/,
    "its server's certificate is of an authority that is not known here, or comes without those between",
  ],
  [/^(?:ERR_TLS_\w+|CERT_\w+)$/, 'its server presents no valid certificate'],
  [/^(?:ERR_SSL_\w+|EPROTO)$/, 'its server does not speak TLS, or no version that is spoken here'],
  [/^(?:HTTPParserError|HPE_\w+|UND_ERR_HEADERS_OVERFLOW)$/, 'its server does not answer in HTTP'],
];

/**
 * Turns a failed fetch into an error of the item. The message holds only facts that the client may
 * know, so no address and no URL of a redirect; the whole error is in `cause`, for the log.
 */
export function fetchFailure(error: unknown, context: FailureContext): MeshError {
  const { param, deadline } = context;
  if (error instanceof MeshError) {
    if (error.param !== undefined) return error;
    return new MeshError(error.reason, `${param} cannot be fetched: ${error.message}`, { param });
  }
  const why = deadline.signal.aborted
    ? `its server did not deliver it within ${deadline.timeoutMs / 1000} s`
    : reasonOf(error);
  const message = `${param} cannot be fetched: ${why}`;
  return new MeshError('MEDIA_FETCH_FAILED', message, { param, cause: error });
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  return (
    REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'the connection to its server failed'
  );
}

/** Returns an error's code, or its name for those of undici's parser errors that have no code. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
