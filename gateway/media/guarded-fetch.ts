import type { Readable } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import { MeshError } from '#mesh/errors.ts';
import { PieceCount } from '#mesh/http/piece-count.ts';
import { ItemBytes } from '#mesh/item-bytes.ts';
import type { ItemBudget } from './byte-budget.ts';
import { FetchDeadline } from './fetch-deadline.ts';
import { fetchFailure } from './fetch-failure.ts';
import { FetchPlaces } from './fetch-places.ts';
import { guardedConnector, type ResolveHost } from './guarded-connect.ts';
import type { Asker } from './place-counts.ts';
import { checkRedirect, checkRemoteUrl, type UrlRules } from './remote-url.ts';

export interface FetchOptions extends UrlRules {
  /** Milliseconds for one item, redirects included. */
  readonly timeoutMs: number;
  /** Milliseconds for one connection, name resolution included. */
  readonly connectTimeoutMs: number;
  /** Most fetches of this process at the same time; the others wait. */
  readonly maxConcurrent: number;
  readonly resolveHost: ResolveHost;
}

export interface FetchCall {
  readonly param: string;
  readonly budget: ItemBudget;
  readonly asker: Asker;
  readonly signal: AbortSignal;
}

const MAX_REDIRECTS = 3;
const MAX_HEADER_BYTES = 16_384;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

const HEADERS = {
  accept: 'image/*, audio/*',
  // Asks for no compression: a few compressed bytes could decode to very many.
  'accept-encoding': 'identity',
  'user-agent': 'autoglm-mesh',
} as const;

/**
 * Fetches URLs that untrusted clients name, and cannot be led into the gateway's own network. Every
 * hop has its own connection, which is closed when the hop ends, with or without an error. Proxies
 * are not used.
 */
export class GuardedFetch {
  readonly #options: FetchOptions;
  readonly #places: FetchPlaces;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#places = new FetchPlaces(options.maxConcurrent);
  }

  /**
   * Returns the body of a 200 answer. Refuses with INVALID_REQUEST a URL that may not be fetched,
   * with PAYLOAD_TOO_LARGE a body that is too large, with QUEUE_FULL a fetch that holds up other
   * clients, with MEDIA_FETCH_FAILED a failure of the far side; an abort passes through.
   */
  async fetch(url: URL, { param, budget, asker, signal }: FetchCall): Promise<Buffer> {
    const deadline = new FetchDeadline(this.#options.timeoutMs);
    try {
      return await this.#follow(url, { budget, asker, deadline, signal });
    } catch (error: unknown) {
      signal.throwIfAborted();
      throw fetchFailure(error, { param, deadline });
    } finally {
      deadline.end();
    }
  }

  async #follow(start: URL, call: FollowCall): Promise<Buffer> {
    const { asker, deadline } = call;
    const signal = AbortSignal.any([call.signal, deadline.signal]);
    let url = start;
    for (let numRedirects = 0; numRedirects <= MAX_REDIRECTS; numRedirects += 1) {
      checkRemoteUrl(url, this.#options);
      const hop = { url, budget: call.budget };
      const answer = await this.#places.run({ asker, host: url.host }, signal, (placeSignal) => {
        deadline.begin();
        return this.#get(hop, placeSignal);
      });
      if (answer.kind === 'body') return answer.bytes;
      checkRedirect(url, answer.location, this.#options);
      url = answer.location;
    }
    throw new MeshError('MEDIA_FETCH_FAILED', `more than ${MAX_REDIRECTS} redirects`);
  }

  async #get(hop: Hop, signal: AbortSignal): Promise<Answer> {
    const { origin, pathname, search } = hop.url;
    const client = new Client(origin, {
      connect: guardedConnector(this.#options, signal),
      pipelining: 0,
      maxHeaderSize: MAX_HEADER_BYTES,
      // The deadline of the fetch bounds both.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    try {
      const path = `${pathname}${search}`;
      const response = await client.request({ method: 'GET', path, headers: HEADERS, signal });
      return await readAnswer(response, hop);
    } finally {
      await client.destroy();
    }
  }
}

interface FollowCall {
  readonly budget: ItemBudget;
  readonly asker: Asker;
  readonly deadline: FetchDeadline;
  readonly signal: AbortSignal;
}

type Answer =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'redirect'; readonly location: URL };

interface Hop {
  readonly url: URL;
  readonly budget: ItemBudget;
}

async function readAnswer(response: Dispatcher.ResponseData, hop: Hop): Promise<Answer> {
  const { statusCode, headers, body } = response;
  // Destroying the client ends the body of an answer that is not read, which is no error here.
  body.on('error', () => {});
  if (REDIRECTS.has(statusCode)) {
    return { kind: 'redirect', location: locationOf(headers['location'], hop.url) };
  }
  if (statusCode !== 200) throw failed(`the server answered with status ${statusCode}`);
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw failed('the server answered with a content encoding that was not asked for');
  }
  if (Number(headers['content-length'] ?? 0) > hop.budget.maxBytes) throw hop.budget.refuse();
  return { kind: 'body', bytes: await readBody(body, hop.budget) };
}

/** Reads a body piece by piece; joined ones could not be counted. */
function readBody(body: Readable, budget: ItemBudget): Promise<Buffer> {
  const bytes = new ItemBytes();
  const pieces = new PieceCount();
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      reject(error);
      body.destroy();
    };
    body.on('data', (piece: Buffer) => {
      if (!pieces.take(piece)) {
        fail(failed('its server sends it in thousands of chunks of a few bytes'));
        return;
      }
      try {
        budget.take(piece.length);
        bytes.push(piece);
      } catch (error: unknown) {
        fail(error);
      }
    });
    body.on('error', reject).on('end', () => resolve(bytes.take()));
  });
}

function locationOf(location: string | string[] | undefined, base: URL): URL {
  if (typeof location !== 'string' || !URL.canParse(location, base.href)) {
    throw failed('the server redirects to nowhere');
  }
  return new URL(location, base);
}

function failed(why: string): MeshError {
  return new MeshError('MEDIA_FETCH_FAILED', why);
}
