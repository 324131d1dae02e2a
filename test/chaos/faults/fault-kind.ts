import { setTimeout as delay } from 'node:timers/promises';
import type { FaultProxy } from '#test/chaos/fault-proxy.ts';
import { type LinkFault, PASS } from '#test/chaos/link-fault.ts';
import type { Instance, InstanceRole } from '#test/chaos/mesh/instance.ts';

/** Length of a fault of connections, and of a stop that is noticed, ms. */
export const FAULT_MS = 6000;
/** Length of a stop that nobody has to notice, ms. */
const PAUSE_MS = 1000;
/** Latency of a slow connection, ms, and its random part. */
const SLOW: LinkFault = { kind: 'latency', delayMs: 50, jitterMs: 100 };
const BLACK_HOLE: LinkFault = { kind: 'black hole' };

/** One kind of fault. */
export interface FaultKind {
  /** What is done to whom: `backbone-kill`. */
  readonly name: string;
  readonly roles: readonly InstanceRole[];
  /** Does it; resolves when it is over, before the process has started again. */
  readonly run: (target: Instance, next: (below: number) => number) => Promise<void>;
}

type Deed = FaultKind['run'];

async function kill({ process }: Instance): Promise<void> {
  await process.end('SIGKILL');
}

async function drain({ process }: Instance): Promise<void> {
  await process.end('SIGTERM');
}

/** Stops the process for long; then it goes on, or is killed. */
const stop: Deed = async ({ process }, next) => {
  process.signal('SIGSTOP');
  await delay(FAULT_MS);
  if (next(2) === 0) process.signal('SIGCONT');
  else await process.end('SIGKILL');
};

async function pause({ process }: Instance): Promise<void> {
  process.signal('SIGSTOP');
  await delay(PAUSE_MS);
  process.signal('SIGCONT');
}

async function reset({ links }: Instance): Promise<void> {
  for (const link of links) link.reset();
}

function linkFault(fault: LinkFault): Deed {
  return ({ links }) => disturb(links, { fault, ms: FAULT_MS });
}

/** Cuts all processes off from the target, or some of them. */
function partition(ms: number): Deed {
  return ({ links }, next) => {
    const some = links.filter(() => next(2) === 0);
    const isWhole = next(2) === 0 || some.length === 0;
    return disturb(isWhole ? links : some, { fault: BLACK_HOLE, ms });
  };
}

async function disturb(
  links: readonly FaultProxy[],
  { fault, ms }: { readonly fault: LinkFault; readonly ms: number },
): Promise<void> {
  await Promise.all(links.map((link) => link.set(fault)));
  await delay(ms);
  await Promise.all(links.map((link) => link.set(PASS)));
}

/** What is done to processes that are asked through proxies. */
const SERVICE_DEEDS: Readonly<Record<string, Deed>> = {
  kill,
  stop,
  pause,
  reset,
  'black-hole': linkFault(BLACK_HOLE),
  latency: linkFault(SLOW),
  drain,
};

function kindsFor(
  whom: string,
  roles: readonly InstanceRole[],
  deeds: Readonly<Record<string, Deed>>,
): readonly FaultKind[] {
  return Object.entries(deeds).map(([what, run]) => ({ name: `${whom}-${what}`, roles, run }));
}

/** Kind whose victims' clients may send a cut stream again. */
export const GATEWAY_KILL = 'gateway-kill';

export interface FaultSettings {
  /** Whether there is a registry that faults can be done to. */
  readonly hasRegistry: boolean;
  /** Time for which processes are cut off from the registry, ms. */
  readonly partitionMs: number;
}

/** Returns all kinds of faults that can be done to a mesh. */
export function allFaultKinds({ hasRegistry, partitionMs }: FaultSettings): readonly FaultKind[] {
  const registryDeeds = { kill, stop, partition: partition(partitionMs) };
  return [
    ...kindsFor('backbone', ['llm-backbone'], SERVICE_DEEDS),
    ...kindsFor('encoder', ['vision-encoder', 'speech-encoder'], SERVICE_DEEDS),
    ...kindsFor('gateway', ['gateway'], { kill, drain }),
    ...(hasRegistry ? kindsFor('registry', ['registry'], registryDeeds) : []),
  ];
}
