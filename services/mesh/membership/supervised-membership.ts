import { Changes } from '#mesh/async/changes.ts';
import type { Member, Membership } from '#mesh/peers/membership.ts';
import {
  followedRoles,
  onSupervisor,
  type ToProcess,
  type ToSupervisor,
  tellSupervisor,
} from '#mesh/process/supervision.ts';

/** The channel between a process and its supervisor. */
export interface SupervisorChannel {
  readonly listen: (onMessage: (message: ToProcess) => void) => void;
  readonly tell: (message: ToSupervisor) => void;
}

/**
 * Yields the members of a role as the supervisor of this process tells them; nothing until it has.
 * The supervisor ends its processes when it ends, so its list never outlives it.
 */
export function supervisedMembership(
  role: string,
  channel: SupervisorChannel = { listen: onSupervisor, tell: tellSupervisor },
): Membership {
  let list: readonly Member[] | undefined;
  const changes = new Changes();
  channel.listen((message) => {
    if (message.kind !== 'members' || message.role !== role) return;
    list = message.members;
    changes.notify();
  });
  channel.tell({ kind: 'asks members', role });
  return async function* members(signal) {
    while (!signal.aborted) {
      const seen = changes.count;
      if (list !== undefined) yield list;
      await changes.after(seen, { signal });
    }
  };
}

/** Tells whether the supervisor of this process tells it the members of a role. */
export function isToldOf(role: string): boolean {
  return followedRoles().includes(role);
}
