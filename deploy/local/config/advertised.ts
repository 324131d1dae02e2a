import { MeshError } from '#mesh/errors.ts';
import type { OptionValues } from '#mesh/options.ts';
import type { ConfigDocument } from './config-document.ts';
import { type Layers, placeAbove } from './config-section.ts';
import type { Slot } from './replicas.ts';

/** A process, and the options it has. */
interface Advertising extends Slot {
  readonly values: OptionValues;
}

/**
 * Refuses an address that two processes would register at, as the replicas of a section with
 * `advertise` do. Their ports are not counted up instead: the address is what others reach, and only
 * whoever wrote it knows what it is for the next process.
 */
export function checkAdvertised(
  processes: readonly Advertising[],
  { document, layers }: { readonly document: ConfigDocument; readonly layers: Layers },
): void {
  const owners = new Map<unknown, string>();
  for (const { role, name, section, values } of processes) {
    const { advertise } = values;
    if (advertise === undefined) continue;
    const owner = owners.get(advertise);
    owners.set(advertise, name);
    if (owner === undefined) continue;
    const key = 'advertise';
    const place = placeAbove(layers, { name: key, role }) ?? document.where(...section.place, key);
    const message = `${place}: key "${key}": ${owner} and ${name} cannot both be reached at ${advertise}; give each a section of its own in a list, with its own "listen" and "${key}"`;
    throw new MeshError('INVALID_REQUEST', message, { param: key });
  }
}
