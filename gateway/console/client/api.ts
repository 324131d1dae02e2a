import { errorMessageIn } from './error-body.ts';
import { readSetting, readTabSetting, writeSetting, writeTabSetting } from './settings.ts';

const KEY = 'api-key';

/** A failure as the server told it; `status` is 0 if it did not answer. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
  }

  /** Whether another key could help. */
  get isAboutKey(): boolean {
    return this.status === 401;
  }
}

let key = readTabSetting(KEY) ?? readSetting(KEY);

export function hasKey(): boolean {
  return key !== undefined;
}

/** Keeps the key in this browser: until the tab is closed, or beyond if `isRemembered`. */
export function setKey(value: string, { isRemembered }: { readonly isRemembered: boolean }): void {
  key = value;
  writeTabSetting(KEY, value);
  writeSetting(KEY, isRemembered ? value : undefined);
}

export function forgetKey(): void {
  key = undefined;
  writeTabSetting(KEY, undefined);
  writeSetting(KEY, undefined);
}

/** Asks the gateway that served this page; `path` has no slash at its beginning. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key !== undefined) headers.set('authorization', `Bearer ${key}`);
  let response: Response;
  try {
    // Relative, so that it also works below a path of a proxy.
    response = await fetch(path, { ...init, headers, cache: 'no-store', credentials: 'omit' });
  } catch (error: unknown) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, '');
  }
  if (!response.ok) throw new ApiError(response.status, await messageOf(response));
  return response;
}

/** Asks for JSON. Its type is that of the route, which comes from the same build as this page. */
export async function askJson<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await ask(path, init);
  return (await response.json()) as T;
}

/** Returns what an answer says about its failure. */
async function messageOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  return errorMessageIn(text) ?? `${response.status} ${response.statusText}`;
}

/** Returns the address of this server as other programs would name it. */
export function serverOrigin(): string {
  return new URL('.', location.href).href.replace(/\/$/, '');
}
