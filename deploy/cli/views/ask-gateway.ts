import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';

const ANSWER_LIMIT_MS = 5000;

export interface GatewayAddress {
  readonly url: string;
  readonly apiKey: string | undefined;
}

/** Asks a gateway and returns its JSON; what it refuses is thrown in its words. */
export async function askGateway({ url, apiKey }: GatewayAddress, path: string): Promise<unknown> {
  const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
  const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
  const answer = await fetch(`${url}${path}`, { headers, signal }).catch((cause: unknown) => {
    throw new MeshError('NO_READY_ENDPOINT', `no mesh answers at ${url}`, { cause });
  });
  const body: unknown = await answer.json().catch(() => undefined);
  if (answer.ok) return body;
  const error = isRecord(body) && isRecord(body['error']) ? body['error']['message'] : undefined;
  throw new MeshError('INVALID_REQUEST', `${answer.status}: ${String(error ?? answer.statusText)}`);
}
