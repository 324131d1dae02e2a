import { Type } from 'typebox';

import { callSupervisor } from '../local/control/control-client.ts';
import type { ControlRequest } from '../local/control/control-protocol.ts';
import { findControl } from './find-mesh.ts';
import { formatTable } from './table.ts';

/** The option by which a command tells several meshes apart. */
export const configOption = Type.Optional(
  Type.String({ description: 'Configuration file of the mesh', minLength: 1 }),
);

/** Sends a command to the mesh that runs here, and prints how it goes on and what runs then. */
export async function commandMesh(
  request: ControlRequest,
  config: string | undefined,
): Promise<number> {
  const path = await findControl(config);
  const onProgress = (text: string) => process.stderr.write(`${text}\n`);
  const processes = await callSupervisor(request, { path, onProgress });
  const rows = processes.map(({ name, address, state }) => ({ process: name, address, state }));
  process.stdout.write(`${formatTable(rows)}\n`);
  return 0;
}
