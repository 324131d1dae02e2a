import { readFile } from 'node:fs/promises';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';

/** Where a pod finds its API server and what it needs to be let in. */
export interface KubernetesAccess {
  readonly host: string;
  readonly port: number;
  /** Folder with the files `token` and `ca.crt`, which Kubernetes renews. */
  readonly accountFolder: string;
}

/** Folder that Kubernetes mounts into every pod. */
const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Longest silence of the API server, milliseconds; it sends bookmarks about once a minute. */
const SILENCE_LIMIT_MS = 120_000;
const ANSWER_LIMIT_MS = 5000;
/** Most UTF-16 units of a list, and of an event. */
const MAX_TEXT_CHARS = 64 * 1024 * 1024;

/** Finds the API server of the pod that this process runs in. */
export function podAccess(env: Readonly<Record<string, string | undefined>> = process.env) {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = Number(env['KUBERNETES_SERVICE_PORT'] ?? 443);
  if (host !== undefined && host !== '') return { host, port, accountFolder: ACCOUNT_FOLDER };
  const message =
    'key "registry": kubernetes:// is for a process in a pod; KUBERNETES_SERVICE_HOST is not set';
  throw new MeshError('INVALID_REQUEST', message, { param: 'registry' });
}

/** Reads one object of the API. */
export async function readObject(
  access: KubernetesAccess,
  path: string,
  signal: AbortSignal,
): Promise<unknown> {
  const response = await open(access, path, { signal, limitMs: ANSWER_LIMIT_MS });
  response.setEncoding('utf8');
  let text = '';
  for await (const part of response) {
    text += part;
    if (text.length > MAX_TEXT_CHARS) throw failed(`the answer to ${path} is too long`);
  }
  return JSON.parse(text);
}

/** Yields the events of a watch, each one a line of JSON, until the server ends it. */
export async function* readEvents(
  access: KubernetesAccess,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const response = await open(access, path, { signal, limitMs: SILENCE_LIMIT_MS });
  response.setEncoding('utf8');
  let rest = '';
  // Unlike a reader of lines, the stream itself throws when the connection breaks.
  for await (const text of response) {
    const lines = `${rest}${text}`.split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_TEXT_CHARS) throw failed('a line of its watch is too long');
    for (const line of lines) yield JSON.parse(line);
  }
}

interface Call {
  readonly signal: AbortSignal;
  /** Longest silence of the server, milliseconds. */
  readonly limitMs: number;
}

/** Sends a request; resolves when the server has answered with 200. */
async function open(
  { host, port, accountFolder }: KubernetesAccess,
  path: string,
  { signal, limitMs }: Call,
): Promise<IncomingMessage> {
  // Tokens live for an hour or less, so that they are read for every call.
  const [token, ca] = await Promise.all([
    readAccount(`${accountFolder}/token`),
    readAccount(`${accountFolder}/ca.crt`),
  ]);
  const headers = { authorization: `Bearer ${token.trim()}`, accept: 'application/json' };
  const options: RequestOptions = { host, port, path, ca, headers, signal, agent: false };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent: ClientRequest = request(options, resolve);
    sent.once('error', reject);
    sent.setTimeout(limitMs, () => sent.destroy(failed(`it was silent for ${limitMs / 1000} s`)));
    sent.end();
  });
  if (response.statusCode === 200) return response;
  response.destroy();
  throw new KubernetesRefusal(response.statusCode ?? 0, path);
}

/** An answer of the API server other than 200. */
export class KubernetesRefusal extends MeshError {
  readonly status: number;

  constructor(status: number, path: string) {
    const hint =
      status === 403 ? '; the service account needs list and watch of endpointslices' : '';
    super('NO_READY_ENDPOINT', `it answered ${status} to ${path}${hint}`);
    this.status = status;
  }
}

async function readAccount(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause: unknown) {
    throw failed(`the service account cannot be read: ${errorMessage(cause)}`);
  }
}

function failed(why: string): MeshError {
  return new MeshError('NO_READY_ENDPOINT', why);
}
