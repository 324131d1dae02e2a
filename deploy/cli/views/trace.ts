import { Type } from 'typebox';
import { readArguments } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import type { RequestList, RequestView } from '#mesh/trace/request-view.ts';
import type { Command } from '../command.ts';
import { meshFields, meshToAsk } from '../mesh-to-ask.ts';
import { askGateway, type GatewayAddress } from './ask-gateway.ts';
import { waterfall } from './waterfall.ts';

const traceOptions = Type.Object(
  { ...meshFields, json: Type.Boolean({ description: 'Print the JSON object', default: false }) },
  { additionalProperties: false },
);

/** `autoglm trace REQUEST_ID`: shows where the time of a request went. */
export const trace: Command = {
  name: 'trace',
  summary: 'show where the time of a request went',
  help: () =>
    `Usage: autoglm trace [options] REQUEST_ID\n\nPrints the stages of a request that the gateway remembers; its id is the header x-request-id of the\nanswer. Without an id, those of the last request.\n\nOptions [default]:\n${helpText(traceOptions)}\n`,
  run: async (args) => {
    const { values, rest } = readArguments(traceOptions, args);
    const options = resolveOptions(traceOptions, values);
    const [id, ...more] = rest;
    if (more.length > 0) throw new MeshError('INVALID_REQUEST', 'name one request');
    const requests = await askFor(id, await meshToAsk(options));
    const [request] = requests;
    if (request === undefined) {
      const what = id === undefined ? 'any request' : `a request ${id}`;
      throw new MeshError(
        'NOT_FOUND',
        `the gateway does not remember ${what}; see the key "request-history"`,
      );
    }
    process.stdout.write(`${options.json ? JSON.stringify(request) : waterfall(request)}\n`);
    return 0;
  },
};

async function askFor(
  id: string | undefined,
  gateway: GatewayAddress,
): Promise<readonly RequestView[]> {
  const query = id === undefined ? '' : `&id=${encodeURIComponent(id)}`;
  const body = await askGateway(gateway, `/v1/autoglm/requests?limit=1${query}`);
  if (isList(body)) return body.data;
  throw new MeshError('ENGINE_FAILED', 'the gateway answered with something else than a list');
}

/** The gateway is of this version, so what it calls a list is one. */
function isList(body: unknown): body is RequestList {
  return isRecord(body) && body['object'] === 'list' && Array.isArray(body['data']);
}
