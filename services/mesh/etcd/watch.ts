import type { Clock } from '#mesh/async/clock.ts';
import { pause } from '#mesh/async/pause.ts';
import { MeshError } from '#mesh/errors.ts';
import { Heartbeat } from '#mesh/peers/heartbeat.ts';
import { WatchRequest, type WatchResponse } from '#protos/etcd/api/etcdserverpb/rpc.ts';
import type { Event } from '#protos/etcd/api/mvccpb/kv.ts';
import type { EtcdClient } from './etcd-client.ts';
import { LEASE_TTL_S, PING_INTERVAL_MS } from './etcd-timing.ts';
import { keyBytes, prefixEnd } from './keys.ts';

/** The first change that a watch tells of, and whose. */
export interface WatchStart {
  readonly prefix: string;
  readonly revision: bigint;
}

/**
 * Yields the changes of all keys with a prefix, those of one revision together. Throws if the
 * changes can no longer be followed: the connection or the member is lost or silent, or it has
 * forgotten the revision.
 */
export async function* watchPrefix(
  client: EtcdClient,
  start: WatchStart,
  signal: AbortSignal,
): AsyncGenerator<readonly Event[]> {
  const { connection, clock } = client;
  const streams = new AbortController();
  const onAbort = () => streams.abort();
  signal.addEventListener('abort', onAbort);
  let isSilent = false;
  const onSilence = () => {
    isSilent = true;
    streams.abort();
  };
  // The interval of the signs of life is that of a peer's.
  const heartbeat = new Heartbeat({ clock, maxMissed: LEASE_TTL_S, onSilence });
  try {
    heartbeat.beat();
    const call = await connection.callWith(streams.signal);
    const requests = watchRequests(start, { signal: streams.signal, clock });
    for await (const response of connection.watch.watch(requests, call)) {
      heartbeat.beat();
      refuseEnd(response);
      if (response.events.length > 0) yield response.events;
    }
    throw new MeshError('NO_READY_ENDPOINT', `etcd at ${connection.endpoint} ended a watch`);
  } catch (error: unknown) {
    if (!signal.aborted && !isForgotten(error)) client.leave(connection);
    throw isSilent ? silent(connection.endpoint) : error;
  } finally {
    heartbeat.stop();
    signal.removeEventListener('abort', onAbort);
    streams.abort();
  }
}

/** Asks for a watch, and again and again whether it is still there. */
async function* watchRequests(
  { prefix, revision }: WatchStart,
  wait: { readonly signal: AbortSignal; readonly clock: Clock },
): AsyncGenerator<WatchRequest> {
  const value = {
    key: keyBytes(prefix),
    rangeEnd: prefixEnd(prefix),
    startRevision: revision,
    progressNotify: true,
  };
  yield WatchRequest.create({ requestUnion: { $case: 'createRequest', value } });
  for (;;) {
    await pause(PING_INTERVAL_MS, wait);
    if (wait.signal.aborted) return;
    yield WatchRequest.create({ requestUnion: { $case: 'progressRequest', value: {} } });
  }
}

/** Throws if the server has ended the watch. */
function refuseEnd({ canceled, compactRevision, cancelReason }: WatchResponse): void {
  if (compactRevision > 0n) {
    const message = `etcd has forgotten what was before revision ${compactRevision}`;
    throw new MeshError('NOT_FOUND', message);
  }
  if (canceled) {
    throw new MeshError(
      'NO_READY_ENDPOINT',
      `etcd has ended a watch: ${cancelReason || 'no reason'}`,
    );
  }
}

/** Tells whether a watch ended because its next revision is gone: the keys must be listed anew. */
export function isForgotten(error: unknown): boolean {
  return error instanceof MeshError && error.reason === 'NOT_FOUND';
}

function silent(endpoint: string): MeshError {
  return new MeshError('NO_READY_ENDPOINT', `etcd at ${endpoint} was silent for ${LEASE_TTL_S} s`);
}
