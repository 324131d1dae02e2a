import { setTimeout as delay } from 'node:timers/promises';
import { Type } from 'typebox';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import type { MeshOverview } from '#mesh/overview/mesh-overview.ts';
import type { Command } from '../command.ts';
import { meshFields, meshToAsk } from '../mesh-to-ask.ts';
import { askGateway, type GatewayAddress } from './ask-gateway.ts';
import { topFrame } from './top-frame.ts';

/** Moves to the upper left corner of a terminal and clears what is there. */
const CLEAR = '\x1b[H\x1b[2J';

const topOptions = Type.Object(
  {
    ...meshFields,
    intervalS: Type.Number({
      minimum: 0.5,
      maximum: 60,
      default: 1,
      description: 'Time between two looks, seconds',
    }),
    once: Type.Boolean({ description: 'Look once and end', default: false }),
  },
  { additionalProperties: false },
);

/** `autoglm top`: shows the mesh as it goes on. */
export const top: Command = {
  name: 'top',
  summary: 'show load, tokens a second and caches as they go on',
  help: () =>
    `Usage: autoglm top [options]\n\nDraws every process that the gateway knows again and again, until Ctrl-C. Rates are those since the\nlast look; where the output is no terminal, the tables follow each other.\n\nOptions [default]:\n${helpText(topOptions)}\n`,
  run: async (args) => {
    const options = resolveOptions(topOptions, parseFlags(topOptions, args));
    const gateway = await meshToAsk(options);
    let before = await readOverview(gateway);
    do {
      await delay(1000 * options.intervalS);
      const now = await readOverview(gateway).catch((error: unknown) => {
        // A gateway that ends and is started again is what this is looked at for.
        if (options.once || !isAway(error)) throw error;
        return undefined;
      });
      show(
        now === undefined ? `${gateway.url} does not answer; trying again` : topFrame(before, now),
      );
      before = now ?? before;
    } while (!options.once);
    return 0;
  },
};

/** Draws over what is there in a terminal; elsewhere what is shown follows. */
function show(text: string): void {
  process.stdout.write(process.stdout.isTTY ? `${CLEAR}${text}\n` : `${text}\n\n`);
}

function isAway(error: unknown): boolean {
  return error instanceof MeshError && error.reason === 'NO_READY_ENDPOINT';
}

async function readOverview(gateway: GatewayAddress): Promise<MeshOverview> {
  const body = await askGateway(gateway, '/v1/autoglm/mesh');
  if (isOverview(body)) return body;
  throw new MeshError('ENGINE_FAILED', 'the gateway answered with something else than a mesh');
}

/** The gateway is of this version, so what it calls a mesh is one. */
function isOverview(body: unknown): body is MeshOverview {
  return isRecord(body) && body['object'] === 'mesh' && Array.isArray(body['instances']);
}
