import { MeshError } from '#mesh/errors.ts';

const MAX_CLIENT_ID_BYTES = 256;

/** Refuses a name of a client that is too long. */
export function checkClientId(clientId: string): void {
  const numBytes = Buffer.byteLength(clientId);
  if (numBytes <= MAX_CLIENT_ID_BYTES) return;
  const message = `client_id: ${numBytes} bytes, at most ${MAX_CLIENT_ID_BYTES} are allowed`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'client_id' });
}

/**
 * Returns the name of who asks: what the caller says, or else the address of the caller without its port,
 * which differs from connection to connection.
 */
export function clientOf(clientId: string, peer: string): string {
  return clientId === '' ? peer.replace(/:\d+$/, '') : clientId;
}
