import { isDeepStrictEqual } from 'node:util';
import { type Clock, systemClock } from '#mesh/async/clock.ts';
import { quoted } from '#mesh/client-text.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { EtcdClient } from '#mesh/etcd/etcd-client.ts';
import { keyBytes } from '#mesh/etcd/keys.ts';
import { PrefixView } from '#mesh/etcd/prefix-view.ts';
import type { Log } from '#mesh/log/log.ts';
import { INSTANCE_NAME } from '#mesh/process/instance.ts';
import { type EtcdRegistry, parseRegistry } from '#mesh/registry-url.ts';
import type { KeyValue } from '#protos/etcd/api/mvccpb/kv.ts';
import { type Census, countModels, differenceIn, parseCensus } from './census.ts';
import { Election, type Term } from './election.ts';
import { rolePrefix } from './instance-record.ts';

/** Wait before a census that could not be written is written again, milliseconds. */
const RETRY_MS = 1000;

/** A process's part in the choice of the controller. */
export interface Candidacy {
  /** Gives the role up if this process has it. */
  close(): Promise<void>;
}

interface Surroundings {
  readonly log: Log;
  readonly clock?: Clock;
  /** Name of this process, which others see. */
  readonly candidate?: string;
}

/**
 * Stands for the role of the controller, which one gateway of a mesh holds. It counts which weights
 * and versions the replicas of each model have, keeps that in etcd, and says when they begin and
 * cease to differ: answers do not go on between them. The next controller goes on from what is kept.
 * Without etcd there is none.
 */
export function standForController(
  registryText: string | undefined,
  { log, clock = systemClock, candidate = INSTANCE_NAME }: Surroundings,
): Candidacy {
  const registry = registryText === undefined ? undefined : parseRegistry(registryText);
  if (registry?.kind !== 'etcd') return { close: async () => {} };
  const hold = (term: Term) => keepCensus(term, registry, { log, clock });
  return new Election({ registry, role: 'controller', candidate, hold, log, clock });
}

/** Reads the census of a mesh; empty if there is none. */
export async function readCensus(registry: EtcdRegistry, signal: AbortSignal): Promise<Census> {
  const client = new EtcdClient(registry, systemClock);
  try {
    return await keptCensus(client, registry, signal);
  } finally {
    client.close();
  }
}

async function keepCensus(
  term: Term,
  registry: EtcdRegistry,
  { log, clock }: { readonly log: Log; readonly clock: Clock },
): Promise<void> {
  const { signal } = term;
  const client = new EtcdClient(registry, clock);
  const prefix = rolePrefix(registry.prefix, 'llm-backbone');
  const view = new PrefixView(client, { prefix, title: 'the census of models', log });
  try {
    let kept: Census | undefined;
    let limit = {};
    for (let seen = 0; ; ) {
      await view.changes.after(seen, { signal, clock, ...limit });
      if (signal.aborted) return;
      seen = view.changes.count;
      limit = {};
      try {
        kept ??= await keptCensus(client, registry, signal);
        const census = countModels(view.keys.map(textOf));
        if (isDeepStrictEqual(census, kept)) continue;
        await term.change([putOf(censusKey(registry), census)]);
        report(kept, census, log);
        kept = census;
      } catch (error: unknown) {
        if (signal.aborted) return;
        log.debug(`the census of models cannot be kept: ${errorMessage(error)}`);
        limit = { limitMs: RETRY_MS };
      }
    }
  } finally {
    await view.close();
    client.close();
  }
}

const censusKey = ({ prefix }: EtcdRegistry): string => `${prefix}/census`;

const textOf = ({ value }: KeyValue): string => value.toString();

async function keptCensus(
  client: EtcdClient,
  registry: EtcdRegistry,
  signal: AbortSignal,
): Promise<Census> {
  const { keys } = await client.list(censusKey(registry), signal);
  return parseCensus(keys[0] === undefined ? '' : textOf(keys[0]));
}

function putOf(key: string, census: Census) {
  const value = Buffer.from(JSON.stringify(census));
  return {
    request: { $case: 'requestPut' as const, value: { key: keyBytes(key), value, lease: 0n } },
  };
}

/** Says which models' replicas differ now and did not, and the other way round. */
function report(before: Census, after: Census, log: Log): void {
  for (const [model, kinds] of Object.entries(after)) {
    const was = differenceIn(before, model);
    const is = differenceIn(after, model);
    if (is !== undefined && is !== was) {
      log.warn(`${is}; no answer goes on from one kind to another`);
    }
    if (is === undefined && was !== undefined) {
      log.info(`replicas of the model ${quoted(model)} are equal again: ${kinds[0]}`);
    }
  }
}
