import { quoted } from '#mesh/client-text.ts';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import type { Member } from '#mesh/peers/membership.ts';
import type { KeyValue } from '#protos/etcd/api/mvccpb/kv.ts';
import { parseRecord } from './instance-record.ts';

/** Reads the keys of a role's processes as members; says once what is wrong with one of them. */
export class ListedInstances {
  readonly #log: Log;
  /** What the log was told of, by its key and revision. */
  #said: ReadonlySet<string> = new Set();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Returns the members that the keys name, each address once.
   *
   * @param keys in the order in which they came to be
   */
  members(keys: readonly KeyValue[]): readonly Member[] {
    const said = new Set<string>();
    const sayOnce = (key: KeyValue, what: string) => {
      const mark = `${key.key.toString()} ${key.modRevision} ${what}`;
      if (!this.#said.has(mark)) this.#log.warn(what);
      said.add(mark);
    };
    const byAddress = new Map<string, Member>();
    for (const key of [...keys].reverse()) {
      const member = readMember(key, sayOnce);
      if (member === undefined) continue;
      if (byAddress.has(member.address)) {
        const name = quoted(key.key.toString());
        sayOnce(
          key,
          `two processes are registered at ${member.address}: the older, ${name}, is not asked`,
        );
      } else byAddress.set(member.address, member);
    }
    this.#said = said;
    return [...byAddress.values()].reverse();
  }
}

function readMember(
  key: KeyValue,
  sayOnce: (key: KeyValue, what: string) => void,
): Member | undefined {
  try {
    const { address, weight, zone } = parseRecord(key.value.toString());
    return { address, weight, zone, isLeaving: false };
  } catch (error: unknown) {
    const name = quoted(key.key.toString());
    sayOnce(
      key,
      `the registry's key ${name} is not a process of the mesh and is skipped: ${errorMessage(error)}`,
    );
    return undefined;
  }
}
