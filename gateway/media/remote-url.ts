import { isIP } from 'node:net';
import { MeshError } from '#mesh/errors.ts';
import type { AddressRule } from './address-rules.ts';

/** The URLs that may be fetched. */
export interface UrlRules {
  /** Rule for literal addresses in a URL, every answer of a resolver and every connected peer. */
  readonly isAllowedAddress: AddressRule;
  /**
   * Allows any port and single-label names, which intranets use; otherwise only ports 80 and 443.
   */
  readonly intranet: boolean;
  /**
   * Hosts ("cdn.example.com") and families of them ("*.example.com"), written as `URL.hostname`
   * writes them; if empty, all are allowed.
   */
  readonly allowedDomains: readonly string[];
}

const PUBLIC_PORTS: ReadonlySet<string> = new Set(['', '80', '443']);

/** Matches letters, digits, hyphens and underscores between single dots; refuses a trailing dot. */
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * Refuses a URL that may not be fetched, before any name is resolved. It is called for the
 * request's URL and for every redirect's. `URL` has already normalised the host: 2130706433, 0x7f.1
 * and full-width digits all read 127.0.0.1 here.
 */
export function checkRemoteUrl(url: URL, rules: UrlRules): void {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw forbidden('only http:// and https:// URLs are fetched');
  }
  if (url.username !== '' || url.password !== '') {
    throw forbidden('a URL with a user name or password is not fetched');
  }
  if (!rules.intranet && !PUBLIC_PORTS.has(url.port)) {
    throw forbidden(`port ${url.port} is not fetched from, only 80 and 443`);
  }
  checkHost(url.hostname, rules);
}

/** Refuses a redirect from https to http, except on an intranet. */
export function checkRedirect(from: URL, to: URL, { intranet }: Pick<UrlRules, 'intranet'>): void {
  if (!intranet && from.protocol === 'https:' && to.protocol === 'http:') {
    throw forbidden('its server redirects from https to http');
  }
}

function checkHost(hostname: string, rules: UrlRules): void {
  const literal = hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(literal) !== 0) {
    if (!rules.isAllowedAddress(literal)) throw forbiddenAddress();
  } else if (!HOST_NAME.test(hostname) || !(rules.intranet || hostname.includes('.'))) {
    throw forbidden('its host name is not one of the public internet');
  }
  if (rules.allowedDomains.length > 0 && !isAmong(hostname, rules.allowedDomains)) {
    throw forbidden('its host is not among the domains this server fetches from');
  }
}

function isAmong(hostname: string, domains: readonly string[]): boolean {
  return domains.some((domain) =>
    domain.startsWith('*.') ? hostname.endsWith(domain.slice(1)) : hostname === domain,
  );
}

/**
 * Returns the same message for every address, so that an answer reveals nothing about a private
 * network.
 */
export function forbiddenAddress(): MeshError {
  return forbidden('its host is not on the public internet');
}

function forbidden(why: string): MeshError {
  return new MeshError('INVALID_REQUEST', why);
}
