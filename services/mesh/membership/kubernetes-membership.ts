import { type Static, type TSchema, Type } from 'typebox';
import Value from 'typebox/value';
import { Backoff } from '#mesh/async/backoff.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { pause } from '#mesh/async/pause.ts';
import { MeshError } from '#mesh/errors.ts';
import type { Log } from '#mesh/log/log.ts';
import { Outage } from '#mesh/log/outage.ts';
import type { Member, Membership } from '#mesh/peers/membership.ts';
import { type KubernetesRegistry, nameOfRole } from '#mesh/registry-url.ts';
import { type EndpointSlice, endpointSlice, membersOf } from './endpoint-slice.ts';
import type { InstanceRole } from './instance-record.ts';
import {
  type KubernetesAccess,
  KubernetesRefusal,
  podAccess,
  readEvents,
  readObject,
} from './kubernetes-api.ts';

/** Waits between two attempts, milliseconds. */
const RETRY = { minMs: 100, maxMs: 2000 };

/** Longest watch, seconds; it is begun again where it ended. */
const WATCH_LIMIT_S = 300;

/** Status of an answer that says that a resource version is no longer kept. */
const GONE = 410;

const sliceList = Type.Object({
  metadata: Type.Object({ resourceVersion: Type.String() }),
  items: Type.Array(endpointSlice),
});

const watchEvent = Type.Object({ type: Type.String(), object: Type.Unknown() });
const bookmark = Type.Object({ metadata: Type.Object({ resourceVersion: Type.String() }) });
const failure = Type.Object({ code: Type.Integer() });

export interface KubernetesSurroundings {
  readonly log: Log;
  readonly clock: Clock;
  /** The API server; unset: that of the pod which this process runs in. */
  readonly access?: KubernetesAccess;
}

/**
 * Yields the endpoints of a role's service, as its EndpointSlices list them. While the API server
 * does not answer, the last list stays.
 */
export function kubernetesMembership(
  registry: KubernetesRegistry,
  role: InstanceRole,
  { log, clock, access = podAccess() }: KubernetesSurroundings,
): Membership {
  const service = nameOfRole(registry.service, role);
  const selector = encodeURIComponent(`kubernetes.io/service-name=${service}`);
  const path = `/apis/discovery.k8s.io/v1/namespaces/${registry.namespace}/endpointslices?labelSelector=${selector}`;
  return async function* members(signal) {
    const outage = new Outage(log, clock);
    const backoff = new Backoff(RETRY);
    const slices = new SliceView(access, path);
    while (!signal.aborted) {
      try {
        for await (const list of slices.follow(signal)) {
          outage.over(`the endpoints of ${service} are up to date`);
          backoff.reset();
          yield list;
        }
        backoff.reset();
      } catch (error: unknown) {
        if (signal.aborted) return;
        outage.failed(`the endpoints of ${service} cannot be followed`, error);
      }
      await pause(backoff.next(), { signal, clock });
    }
  };
}

/** The EndpointSlices of one service, and up to which version they are known. */
class SliceView {
  readonly #access: KubernetesAccess;
  readonly #path: string;
  readonly #slices = new Map<string, EndpointSlice>();
  /** Version from which to watch; undefined: the slices must be listed. */
  #version: string | undefined;

  constructor(access: KubernetesAccess, path: string) {
    this.#access = access;
    this.#path = path;
  }

  /** Lists if needed, then watches once; yields the members after every change. */
  async *follow(signal: AbortSignal): AsyncGenerator<readonly Member[]> {
    if (this.#version === undefined) {
      const list = checked(sliceList, await readObject(this.#access, this.#path, signal));
      this.#slices.clear();
      for (const slice of list.items) this.#slices.set(slice.metadata.name, slice);
      this.#version = list.metadata.resourceVersion;
      yield membersOf(this.#slices.values());
    }
    const watch = `${this.#path}&watch=1&allowWatchBookmarks=true&timeoutSeconds=${WATCH_LIMIT_S}&resourceVersion=${this.#version}`;
    try {
      for await (const event of readEvents(this.#access, watch, signal)) {
        if (this.#apply(checked(watchEvent, event))) yield membersOf(this.#slices.values());
        if (this.#version === undefined) return;
      }
    } catch (error: unknown) {
      if (!(error instanceof KubernetesRefusal) || error.status !== GONE) throw error;
      this.#version = undefined;
    }
  }

  /** Takes an event over; tells whether the slices have changed. */
  #apply({ type, object }: Static<typeof watchEvent>): boolean {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
      case 'DELETED': {
        const slice = checked(endpointSlice, object);
        if (type === 'DELETED') this.#slices.delete(slice.metadata.name);
        else this.#slices.set(slice.metadata.name, slice);
        this.#version = slice.metadata.resourceVersion;
        return true;
      }
      case 'BOOKMARK':
        this.#version = checked(bookmark, object).metadata.resourceVersion;
        return false;
      case 'ERROR': {
        const { code } = checked(failure, object);
        if (code !== GONE)
          throw new MeshError('NO_READY_ENDPOINT', `its watch failed with ${code}`);
        this.#version = undefined;
        return false;
      }
      default:
        return false;
    }
  }
}

/** Returns an answer of the API server as what it should be. */
function checked<Schema extends TSchema>(schema: Schema, value: unknown): Static<Schema> {
  if (Value.Check(schema, value)) return value as Static<Schema>; // Checked here.
  const [problem] = Value.Errors(schema, value);
  const what = `${problem?.instancePath ?? ''} ${problem?.message ?? ''}`.trim();
  throw new MeshError('NO_READY_ENDPOINT', `its answer is not one of Kubernetes: ${what}`);
}
