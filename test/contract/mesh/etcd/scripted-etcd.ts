import type { TestContext } from 'node:test';
import { createServer } from 'nice-grpc';
import { Changes } from '#mesh/async/changes.ts';
import { KVDefinition, WatchDefinition, WatchResponse } from '#protos/etcd/api/etcdserverpb/rpc.ts';

type Update = Parameters<typeof WatchResponse.create>[0];

/** An etcd that has the keys and says the things that a test writes. */
export interface ScriptedEtcd {
  readonly address: string;
  /** Keys with their values, as a list has them. */
  readonly keys: Map<string, string>;
  /** Revision of the next list. */
  revision: bigint;
  /** Revisions from which watches were asked for, in order. */
  readonly watchedFrom: bigint[];
  /** Sends a response of the open watch. */
  send(update: Update): void;
}

/** Starts a scripted etcd on loopback; it ends with the test. */
export async function startScriptedEtcd(test: TestContext): Promise<ScriptedEtcd> {
  const server = createServer();
  const updates: Update[] = [];
  const changes = new Changes();
  const state = { keys: new Map<string, string>(), revision: 1n, watchedFrom: [] as bigint[] };
  const unneeded = async (): Promise<never> => {
    throw new Error('no test needs this call');
  };
  server.add(KVDefinition, {
    range: async () => ({
      header: { revision: state.revision },
      kvs: [...state.keys].map(([key, value]) => ({
        key: Buffer.from(key),
        value: Buffer.from(value),
        createRevision: 1n,
        modRevision: 1n,
      })),
    }),
    put: unneeded,
    deleteRange: unneeded,
    txn: unneeded,
    compact: unneeded,
  });
  server.add(WatchDefinition, {
    watch: async function* (requests, { signal }) {
      for await (const { requestUnion } of requests) {
        if (requestUnion?.$case === 'createRequest') {
          state.watchedFrom.push(requestUnion.value.startRevision);
          break;
        }
      }
      for (;;) {
        const seen = changes.count;
        for (const update of updates.splice(0)) yield WatchResponse.create(update);
        await changes.after(seen, { signal });
        if (signal.aborted) return;
      }
    },
  });
  const port = await server.listen('127.0.0.1:0');
  test.after(() => server.forceShutdown());
  const send = (update: Update) => {
    updates.push(update);
    changes.notify();
  };
  return Object.assign(state, { address: `127.0.0.1:${port}`, send });
}
