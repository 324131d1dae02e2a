import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '#mesh/async/clock.ts';
import { EtcdClient } from '#mesh/etcd/etcd-client.ts';
import { type Announcement, announceStatus } from '#mesh/membership/announcement.ts';
import { openMembership } from '#mesh/membership/open-membership.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { parseHostPort } from '#mesh/port-probe.ts';
import { parseRegistry } from '#mesh/registry-url.ts';
import { within } from '#test/bounded.ts';
import { FaultProxy } from '#test/chaos/fault-proxy.ts';
import {
  type Followed,
  follow as followMembership,
} from '#test/contract/mesh/membership/followed.ts';
import { type LogLine, memoryLog } from '#test/memory-log.ts';
import { statusOf } from '#test/scripted-instance.ts';
import type { EtcdMember } from './real-etcd.ts';

/** Beginning of the keys of llm-backbones. */
export const KEYS = '/autoglm/instances/llm-backbone';

const { signal } = new AbortController();

/** The llm-backbones of a registry, which a test follows. */
export interface FollowedRegistry extends Followed {
  readonly lines: readonly LogLine[];
  /** Resolves when the log has a line that matches. */
  readonly logged: (pattern: RegExp) => Promise<void>;
}

/** Follows the llm-backbones of a registry until the test ends. */
export function follow(test: TestContext, registry: string): FollowedRegistry {
  const { log, lines } = memoryLog();
  const sources = { registry, addresses: [] };
  const membership = openMembership(sources, 'llm-backbone', { log, clock: systemClock });
  const followed = followMembership(test, membership, () => lines.map(({ msg }) => msg));
  return { ...followed, lines, logged: (pattern) => logged(lines, pattern) };
}

/** Resolves when a log has a line that matches. */
export async function logged(lines: readonly LogLine[], pattern: RegExp): Promise<void> {
  const look = async () => {
    while (!lines.some(({ msg }) => pattern.test(msg))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await within(look(), { what: `${pattern}`, trace: () => lines.map(({ msg }) => msg) });
}

/** Opens a proxy to an address, which closes with the test. */
export async function proxyTo(test: TestContext, target: string): Promise<FaultProxy> {
  const proxy = await FaultProxy.open({ targetPort: parseHostPort(target).port });
  test.after(() => proxy.close());
  return proxy;
}

/** A client with which a test plays what another process does. */
export function clientOf(test: TestContext, registry: string): EtcdClient {
  const address = parseRegistry(registry);
  assert(address.kind === 'etcd');
  const client = new EtcdClient(address, systemClock);
  test.after(() => client.close());
  return client;
}

/** Returns a function that writes a key below those of the llm-backbones. */
export function putter(test: TestContext, registry: string) {
  const client = clientOf(test, registry);
  return (name: string, value: string) =>
    client.put({ key: `${KEYS}/${name}`, value, lease: 0n }, signal);
}

/** Returns the value of a process's key. */
export function recordOf(address: string, facts: object = {}): string {
  const known = { models: ['m'], fingerprint: 'a1', version: '1', device: 'cpu', zone: '' };
  return JSON.stringify({ address, ...known, weight: 1, ...facts });
}

/** Kills an etcd and starts it again; resolves when a process and its watcher have found it. */
export async function restart(
  etcd: EtcdMember,
  { lines, view }: { readonly lines: readonly LogLine[]; readonly view: FollowedRegistry },
): Promise<void> {
  await etcd.kill();
  await logged(lines, /has lost its lease/);
  await etcd.start();
  await logged(lines, /has a lease/);
  await view.logged(/is there/);
}

/** Registers a process that is ready; it withdraws at the end of the test. */
export function register(test: TestContext, registry: string, address: string) {
  const { log, lines } = memoryLog();
  const status = statusOf({ servedNames: ['tiny'], fingerprint: 'a1' });
  const options = { registry, advertise: address, zone: 'north', weight: 2 };
  const metrics = new MetricRegistry();
  const surroundings = { log, metrics };
  const announcement: Announcement = announceStatus(status, '127.0.0.1:1', options, surroundings);
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= announcement.close();
    return closing;
  };
  test.after(close);
  return { status, lines, close, metrics };
}
