import type { IncomingMessage } from 'node:http';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';

/**
 * Refuses a body that is sent in a transfer coding besides chunks. Node takes the chunks off and leaves
 * the rest as it is, so that what is compressed would be read as plain.
 */
export function checkTransferCoding({ headers }: Pick<IncomingMessage, 'headers'>): void {
  const { 'transfer-encoding': coding } = headers;
  if (coding === undefined || coding.trim().toLowerCase() === 'chunked') return;
  const message = `"Transfer-Encoding: ${excerpt(coding)}" is not read, only "chunked"; a compressed body has a Content-Encoding`;
  throw new MeshError('INVALID_REQUEST', message);
}
