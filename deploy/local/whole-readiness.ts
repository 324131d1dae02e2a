import type { ProcessList } from './process-list.ts';
import { encodersSettled, gatewayUrl, waitUntilReady } from './readiness.ts';
import { BACKBONE, ENCODERS, GATEWAY } from './roles.ts';
import type { SupervisedProcess } from './supervised-process.ts';

/**
 * Resolves when every process has started, every gateway can ask all backbones of this mesh, and
 * every backbone its encoders, or has refused them; to the reasons of the refusals. Resolves early
 * when the signal aborts, or rejects with its reason.
 */
export async function meshReady(list: ProcessList, signal: AbortSignal): Promise<string[]> {
  // A gateway may reach a backbone elsewhere before the processes of this mesh are there.
  await Promise.all(list.processes.map((process) => process.started(signal)));
  if (signal.aborted) return [];
  const gateways = list.ofRole(GATEWAY.name);
  await Promise.all(gateways.map((gateway) => gatewayReady(gateway, list, signal)));
  const backbones = list.ofRole(BACKBONE.name);
  const refusals = backbones.map((backbone) => refusedEncoders(backbone, list, signal));
  return [...new Set((await Promise.all(refusals)).flat())];
}

async function gatewayReady({ config }: SupervisedProcess, list: ProcessList, signal: AbortSignal) {
  const follows = config.follows.includes(BACKBONE.name);
  const numBackbones = follows ? list.ofRole(BACKBONE.name).length : 0;
  await waitUntilReady(gatewayUrl(config.values), { numBackbones, signal });
}

/** Waits until a backbone can ask its encoders; returns what it says of those it refuses. */
async function refusedEncoders(
  { config }: SupervisedProcess,
  list: ProcessList,
  signal: AbortSignal,
): Promise<string[]> {
  const modalities = ENCODERS.filter(({ name }) => config.follows.includes(name)).flatMap(
    ({ name, modality }) => list.ofRole(name).map(() => modality),
  );
  if (modalities.length === 0) return [];
  const address = String(config.values['listen']);
  const refusals = await encodersSettled(address, { modalities, signal });
  return [...refusals].map(
    ([modality, why]) => `${modality} input is refused until this is repaired: ${why}`,
  );
}
