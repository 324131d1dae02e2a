import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Route } from '#gateway/http/route.ts';
import { excerpt } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import { ASSET_FOLDER, type ConsoleFile, type ConsoleFiles } from './console-files.ts';

/** The page loads nothing from elsewhere, runs no text as a program and stands in no other page. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS = {
  'content-security-policy': POLICY,
  'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
} as const;

/** A year: the name of such a file changes with its content. */
const IMMUTABLE = 'public, max-age=31536000, immutable';
/** Ask again each time; most often the answer is 304. */
const CHECKED = 'no-cache';

const ACCEPTS_GZIP = /(?:^|,)\s*(?:gzip|\*)\s*(?:$|,|;\s*q=(?!0(?:\.0*)?\s*(?:$|,)))/i;

/** Returns the routes of the console: the page `/`, and its files below `/console/`. */
export function consoleRoutes(files: ConsoleFiles): Route[] {
  const prefix = `/${ASSET_FOLDER}/`;
  return [
    {
      method: 'GET',
      path: '/',
      handle: (request, reply) => sendFile(files.get('index.html'), request, reply),
    },
    {
      method: 'GET',
      path: `${prefix}*`,
      handle: (request, reply) => {
        const { pathname } = new URL(request.url, 'http://gateway');
        return sendFile(files.get(pathname.slice(1)), request, reply);
      },
    },
  ];
}

function sendFile(file: ConsoleFile | undefined, request: FastifyRequest, reply: FastifyReply) {
  if (file === undefined) {
    throw new MeshError('NOT_FOUND', `no such file of the console: ${excerpt(request.url)}`);
  }
  const { plain, gzipped, type, isImmutable } = file;
  const isGzipped = gzipped !== undefined && ACCEPTS_GZIP.test(acceptedEncodings(request));
  const { bytes, etag } = isGzipped ? gzipped : plain;
  reply.headers({ ...HEADERS, etag, 'cache-control': isImmutable ? IMMUTABLE : CHECKED });
  if (gzipped !== undefined) addVary(reply, 'accept-encoding');
  if (isKnown(request.headers['if-none-match'], etag)) return reply.code(304).send();
  if (isGzipped) reply.header('content-encoding', 'gzip');
  return reply.type(type).send(bytes);
}

/** Other hooks may have named headers that the answer varies with. */
function addVary(reply: FastifyReply, name: string): void {
  const known = [reply.getHeader('vary') ?? []].flat();
  reply.header('vary', [...known, name].join(', '));
}

function acceptedEncodings({ headers }: FastifyRequest): string {
  return [headers['accept-encoding'] ?? ''].flat().join(',');
}

/** Tells whether a client has the content; proxies may have made the tag a weak one. */
function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  return tags.includes(etag) || tags.includes('*');
}
