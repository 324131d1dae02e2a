import type { Clock } from '#mesh/async/clock.ts';
import { EtcdClient } from '#mesh/etcd/etcd-client.ts';
import { PrefixView } from '#mesh/etcd/prefix-view.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Membership } from '#mesh/peers/membership.ts';
import type { EtcdRegistry } from '#mesh/registry-url.ts';
import { type InstanceRole, rolePrefix } from './instance-record.ts';
import { ListedInstances } from './listed-instances.ts';

/** Yields the processes of a role that are registered in etcd. */
export function etcdMembership(
  registry: EtcdRegistry,
  role: InstanceRole,
  { log, clock }: { readonly log: Log; readonly clock: Clock },
): Membership {
  return async function* members(signal) {
    const client = new EtcdClient(registry, clock);
    const prefix = rolePrefix(registry.prefix, role);
    const view = new PrefixView(client, {
      prefix,
      title: `the list of processes of role ${role}`,
      log,
    });
    const instances = new ListedInstances(log);
    try {
      for (let seen = 0; ; ) {
        await view.changes.after(seen, { signal });
        if (signal.aborted) return;
        seen = view.changes.count;
        yield instances.members(view.keys);
      }
    } finally {
      await view.close();
      client.close();
    }
  };
}
