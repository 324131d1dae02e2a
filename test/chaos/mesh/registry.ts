import { join } from 'node:path';
import { FaultProxy } from '#test/chaos/fault-proxy.ts';
import { etcdArgs } from '#test/contract/mesh/etcd/real-etcd.ts';
import { freePort } from '#test/free-port.ts';
import { Instance } from './instance.ts';
import { KeptProcess } from './kept-process.ts';
import { isEtcdReady } from './readiness.ts';

/** The etcd of a mesh under test, and where each process reaches it. */
export interface Registry {
  readonly instance: Instance;
  /** A proxy of its own for each process, by the process's name. */
  readonly links: ReadonlyMap<string, FaultProxy>;
}

/** Makes an etcd that keeps its data when it is started again; it is not started yet. */
export async function createRegistry(
  folder: string,
  processNames: readonly string[],
): Promise<Registry> {
  const [client, peer] = [await freePort(), await freePort()];
  const links = new Map<string, FaultProxy>();
  for (const name of processNames) {
    links.set(name, await FaultProxy.open({ targetPort: client }));
  }
  const cluster = `registry=http://127.0.0.1:${peer}`;
  const instance = new Instance({
    name: 'registry',
    role: 'registry',
    port: client,
    links: [...links.values()],
    process: new KeptProcess({
      name: 'registry',
      command: 'etcd',
      args: etcdArgs({ name: 'registry', client, peer, folder, cluster }),
      logPath: join(folder, 'registry.log'),
      hasChannel: false,
      endSignal: 'SIGKILL',
    }),
    isReady: () => isEtcdReady(client),
    askers: () => [],
  });
  return { instance, links };
}
