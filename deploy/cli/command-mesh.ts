import { Type } from 'typebox';
import { MeshError } from '#mesh/errors.ts';
import { callSupervisor } from '../local/control/control-client.ts';
import type { ControlRequest } from '../local/control/control-protocol.ts';
import { findMesh } from './find-mesh.ts';
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
  const { control: path } = await findMesh(config);
  if (path === '') {
    const message = 'no mesh runs here that takes commands; start one with "autoglm serve"';
    throw new MeshError('NO_READY_ENDPOINT', message);
  }
  const onProgress = (text: string) => process.stderr.write(`${text}\n`);
  const processes = await callSupervisor(request, { path, onProgress });
  const rows = processes.map(({ name, address, state }) => ({ process: name, address, state }));
  process.stdout.write(`${formatTable(rows)}\n`);
  return 0;
}
