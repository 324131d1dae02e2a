import { MeshError } from '#mesh/errors.ts';
import { isAddress } from '#mesh/option-text.ts';
import type { OptionValues } from '#mesh/options.ts';
import { parseHostPort } from '#mesh/port-probe.ts';

const MAX_PORT = 65_535;

/** Ports that are not free to choose. */
export interface PortsInUse {
  /** Ports of processes that run, by their names, which keep them. */
  readonly kept: ReadonlyMap<string, number>;
  /** Ports of other programs. */
  readonly foreign: ReadonlySet<number>;
}

/** A process, or the page of its metrics, that needs a port, and the one that its configuration says. */
export interface PortWish {
  /** Name of the process, or `pageName` of it. */
  readonly name: string;
  readonly port: number;
  /** Whether it must get just this port; otherwise it gets the next free one. */
  readonly isFixed: boolean;
}

/**
 * Gives every process a port: those that run keep theirs, then come those that are fixed; the others
 * get the next port that nobody of the mesh has. Two fixed ones may want the same, which is refused
 * later, with the key that changes it.
 */
export function assignPorts(
  wishes: readonly PortWish[],
  { kept, foreign }: PortsInUse,
): ReadonlyMap<string, number> {
  const ports = new Map<string, number>();
  for (const { name } of wishes) {
    const port = kept.get(name);
    if (port !== undefined) ports.set(name, port);
  }
  for (const { name, port, isFixed } of wishes) {
    if (isFixed && !ports.has(name)) ports.set(name, port);
  }
  const taken = new Set([...ports.values(), ...kept.values(), ...foreign]);
  for (const { name, port: first } of wishes) {
    if (ports.has(name)) continue;
    let port = first;
    while (taken.has(port) && first !== 0) port += 1;
    if (port > MAX_PORT) throw noPort(name, first);
    taken.add(port);
    ports.set(name, port);
  }
  return ports;
}

function noPort(name: string, first: number): MeshError {
  const message = `no port from ${first} upwards is free for ${name}; give it an address of its own in a list of sections`;
  return new MeshError('INVALID_REQUEST', message);
}

/** Names the page of a process's metrics among those that need ports. */
export function pageName(process: string): string {
  return `the metrics of ${process}`;
}

/** Returns the ports that processes which run keep, by name. */
export function keptPorts(
  processes: readonly { readonly name: string; readonly values: OptionValues }[],
): ReadonlyMap<string, number> {
  const ports = processes.flatMap(({ name, values }): [string, number][] => [
    [name, portOf(values)],
    [pageName(name), pagePortOf(values)],
  ]);
  return new Map(ports.filter(([, port]) => port !== 0));
}

/** Returns the port of the page of a process's metrics; 0: any one, or there is no page. */
export function pagePortOf({ metricsListen }: OptionValues): number {
  return isAddress(String(metricsListen)) ? parseHostPort(String(metricsListen)).port : 0;
}

/** Returns the values of a process that shows its metrics at another port. */
export function withPagePort(values: OptionValues, port: number): OptionValues {
  return { ...values, metricsListen: atPort(String(values['metricsListen']), port) };
}

/** Returns the port that a process listens on. */
export function portOf({ listen, port }: OptionValues): number {
  return typeof listen === 'string' ? parseHostPort(listen).port : Number(port);
}

/** Returns the values of a process that listens on another port. */
export function withPort(values: OptionValues, port: number): OptionValues {
  const { listen } = values;
  if (typeof listen !== 'string') return { ...values, port };
  return { ...values, listen: atPort(listen, port) };
}

function atPort(address: string, port: number): string {
  return `${address.slice(0, address.lastIndexOf(':'))}:${port}`;
}
