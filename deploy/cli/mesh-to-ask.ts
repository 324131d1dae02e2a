import { Type } from 'typebox';
import { GATEWAY } from '../local/roles.ts';
import { addressIn, configuredKey, findMesh } from './find-mesh.ts';

/** Options of the commands that ask a gateway. */
export const meshFields = {
  url: Type.Optional(
    Type.String({
      description: 'Where the gateway listens; unset: the mesh that runs here',
      minLength: 1,
    }),
  ),
  config: Type.Optional(
    Type.String({ description: 'Configuration file of the mesh', minLength: 1 }),
  ),
  apiKey: Type.Optional(
    Type.String({ description: 'Key of the mesh', secret: true, minLength: 1 }),
  ),
} as const;

/** Returns where to ask, and with which key. */
export async function meshToAsk(options: {
  readonly url?: string;
  readonly config?: string;
  readonly apiKey?: string;
}): Promise<{ readonly url: string; readonly apiKey: string | undefined }> {
  const { url, config } = options;
  if (url !== undefined) return { url: baseUrl(url), apiKey: firstKey(options.apiKey) };
  const address = addressIn(await findMesh(config), GATEWAY.name);
  return { url: address, apiKey: firstKey(options.apiKey ?? (await configuredKey(config))) };
}

/** Takes `host:port` for an address, and one that ends in /v1, as clients are given it. */
function baseUrl(typed: string): string {
  const url = typed.includes('://') ? typed : `http://${typed}`;
  return url.replace(/\/(v1\/?)?$/, '');
}

/** A gateway's variable may list several keys. */
function firstKey(keys: string | undefined): string | undefined {
  return keys?.split(',')[0]?.trim();
}
