import { createHash } from 'node:crypto';
import type { Route } from '#gateway/http/route.ts';
import type { RouteContext } from '../route-context.ts';

const STYLE =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}' +
  'code{font-family:ui-monospace,monospace}li{margin:.2rem 0}';

const HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // The page shows names that others chose; nothing but its own style may take effect.
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
} as const;

export interface HomeOptions {
  /** Routes that the page lists. */
  readonly routes: readonly Route[];
  /** True if clients need a key: then the page names no model. */
  readonly needsKey: boolean;
}

/** Returns the route `GET /`: a page for people that says what is here. */
export function homeRoute({ router }: Pick<RouteContext, 'router'>, options: HomeOptions): Route {
  return {
    method: 'GET',
    path: '/',
    handle: (_, reply) => {
      const isReady = router.endpoints.some((endpoint) => endpoint.isReady);
      const names = options.needsKey ? undefined : router.models().map(({ name }) => name);
      return reply.headers(HEADERS).send(page(options.routes, { isReady, names }));
    },
  };
}

interface Shown {
  readonly isReady: boolean;
  readonly names: readonly string[] | undefined;
}

function page(routes: readonly Route[], { isReady, names }: Shown): string {
  const state = isReady
    ? 'It is ready.'
    : 'It is <strong>not ready</strong>: no llm-backbone is. See <a href="/health">/health</a>.';
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>autoglm-mesh</title><style>${STYLE}</style></head>
<body>
<h1>autoglm-mesh</h1>
<p>This is a server for phone-agent models with OpenAI's REST API. ${state}</p>
${models(names)}
<h2>Routes</h2>
<ul>
${routes.map(routeItem).join('\n')}
</ul>
<p>Point an OpenAI client at <code>/v1</code> of this address. The README of autoglm-mesh has examples.</p>
</body>
</html>
`;
}

function models(names: readonly string[] | undefined): string {
  if (names === undefined)
    return '<p>Requests need a key: <code>Authorization: Bearer KEY</code>.</p>';
  if (names.length === 0) return '<p>No model is known yet.</p>';
  return `<p>Model: ${names.map((name) => `<code>${escaped(name)}</code>`).join(', ')}</p>`;
}

function routeItem({ method, path }: Route): string {
  const shown = escaped(path.replace('*', '{id}'));
  const isLink = method === 'GET' && !path.includes('*');
  return `<li><code>${method} ${isLink ? `<a href="${shown}">${shown}</a>` : shown}</code></li>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
