import { realpathSync, statSync } from 'node:fs';
import { MeshError } from '#mesh/errors.ts';
import { isAnyAddress, isPublicAddress } from './address-rules.ts';
import { parseAllowedDomains } from './allowed-domains.ts';
import { GuardedFetch } from './guarded-fetch.ts';
import { createHostLookup } from './host-lookup.ts';
import { parseItemLimits } from './item-limits.ts';
import { MediaLoader } from './media-loader.ts';
import { type MediaOptions, mediaLimits } from './media-options.ts';

const CONNECT_TIMEOUT_MS = 2000;

export interface WarningLog {
  warn(message: string): void;
}

/** Builds the loader from the gateway's options; refuses values that the schema cannot judge. */
export function createMediaLoader(options: MediaOptions, log: WarningLog): MediaLoader {
  return new MediaLoader({
    itemLimits: parseItemLimits(options.limitMmPerPrompt),
    ...mediaLimits(options),
    remote: options.mediaFetch === 'on' ? guardedFetch(options, log) : undefined,
    localRoot: localRoot(options.allowedLocalMediaPath),
  });
}

function guardedFetch(options: MediaOptions, log: WarningLog): GuardedFetch {
  const allowPrivate = options.mediaFetchAllowPrivate;
  if (allowPrivate) {
    log.warn(
      'media-fetch-allow-private is set: clients can make this server read any address it can reach',
    );
  }
  return new GuardedFetch({
    isAllowedAddress: allowPrivate ? isAnyAddress : isPublicAddress,
    intranet: allowPrivate,
    allowedDomains: parseAllowedDomains(options.allowedMediaDomains),
    timeoutMs: options.mediaFetchTimeoutS * 1000,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    maxConcurrent: options.mediaFetchConcurrency,
    resolveHost: createHostLookup({
      timeoutMs: CONNECT_TIMEOUT_MS,
      searchesDomains: allowPrivate,
    }),
  });
}

function localRoot(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  try {
    const root = realpathSync(path);
    if (statSync(root).isDirectory()) return path;
  } catch (cause: unknown) {
    throw notAFolder(path, cause);
  }
  throw notAFolder(path);
}

function notAFolder(path: string, cause?: unknown): MeshError {
  const message = `key "allowed-local-media-path": ${path} is not a folder that can be read`;
  return new MeshError('INVALID_REQUEST', message, { param: 'allowed-local-media-path', cause });
}
