import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { buildConnector } from 'undici';
import type { AddressRule } from './address-rules.ts';
import { forbiddenAddress } from './remote-url.ts';

/** Finds the addresses of a host name. */
export type ResolveHost = (hostname: string) => Promise<readonly LookupAddress[]>;

export interface ConnectRules {
  readonly isAllowedAddress: AddressRule;
  readonly resolveHost: ResolveHost;
  readonly connectTimeoutMs: number;
}

/**
 * Makes a connector that connects to allowed addresses only. A name is resolved once, every answer
 * is checked, and the socket gets the checked addresses themselves, so a resolver that changes its
 * answer (DNS rebinding) gains nothing. The peer is checked again after it is connected, which also
 * covers literal addresses, for which Node asks no resolver. An abort closes the socket, connected
 * or not.
 */
export function guardedConnector(
  rules: ConnectRules,
  signal: AbortSignal,
): buildConnector.connector {
  const connect = buildConnector({
    signal,
    lookup: checkedLookup(rules),
    timeout: rules.connectTimeoutMs,
    maxCachedSessions: 0,
  });
  return (options, callback) => {
    connect(options, (...outcome) => {
      const [error, socket] = outcome;
      if (error !== null) return callback(error, null);
      if (socket.remoteAddress !== undefined && rules.isAllowedAddress(socket.remoteAddress)) {
        return callback(null, socket);
      }
      socket.destroy();
      return callback(forbiddenAddress(), null);
    });
  };
}

function checkedLookup({ resolveHost, isAllowedAddress }: ConnectRules): LookupFunction {
  return (hostname, { all }, callback) => {
    resolveHost(hostname).then(
      (answers) => {
        const [first] = answers;
        if (first === undefined) return callback(noAddress(), '');
        // One private answer among public ones is an attack or a mistake, so none is used.
        if (!answers.every(({ address }) => isAllowedAddress(address))) {
          return callback(forbiddenAddress(), '');
        }
        return all ? callback(null, [...answers]) : callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error instanceof Error ? error : noAddress(), ''),
    );
  };
}

function noAddress(): NodeJS.ErrnoException {
  return Object.assign(new Error('the resolver gave no address'), { code: 'ENOTFOUND' });
}
