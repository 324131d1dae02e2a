import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CertificateFiles } from '#test/certificate.ts';
import { freePort } from '#test/free-port.ts';
import { Lines } from '#test/lines.ts';

export const WITHOUT_ETCD = 'etcd is not installed (apt-get install etcd-server)';

export function hasEtcd(): boolean {
  return spawnSync('etcd', ['--version']).error === undefined;
}

/** Reason to skip a test that needs etcd; false if it is there. */
export const skipWithoutEtcd = hasEtcd() ? false : WITHOUT_ETCD;

/** A test or suite, at whose end something is to be done. */
export interface Ending {
  after(end: () => Promise<void>): void;
}

/** Where a member of a cluster listens, on loopback, and keeps its data. */
export interface MemberPlan {
  readonly name: string;
  /** Ports for clients and for other members. */
  readonly client: number;
  readonly peer: number;
  /** Folder in which its own lies. */
  readonly folder: string;
  /** All members, as `NAME=URL,NAME=URL`. */
  readonly cluster: string;
  /** What it shows clients, who must encrypt then; unset: they must not. */
  readonly certificate?: CertificateFiles | undefined;
}

/** Returns the arguments that start a member. */
export function etcdArgs(plan: MemberPlan): readonly string[] {
  const { name, client, peer, folder, cluster, certificate } = plan;
  const clientUrl = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  const secrets =
    certificate === undefined
      ? []
      : [`--cert-file=${certificate.cert}`, `--key-file=${certificate.key}`];
  return [
    ...secrets,
    `--name=${name}`,
    `--data-dir=${join(folder, name)}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=${cluster}`,
    '--unsafe-no-fsync',
  ];
}

/** One member of an etcd cluster, on ports and in a folder of its own. */
export class EtcdMember {
  readonly address: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(plan: MemberPlan) {
    this.address = `127.0.0.1:${plan.client}`;
    this.#args = etcdArgs(plan);
  }

  /** Starts the process; resolves when it serves clients. */
  async start(): Promise<void> {
    const child = spawn('etcd', this.#args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    await new Lines(child.stderr).match(/serving (?:insecure )?client requests/);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
}

export interface ClusterSettings {
  readonly numMembers?: number;
  /** What every member shows clients. */
  readonly certificate?: CertificateFiles;
}

/** Makes an etcd cluster without starting it; it ends with the test. */
export async function createEtcd(
  test: Ending,
  { numMembers = 1, certificate }: ClusterSettings = {},
): Promise<readonly EtcdMember[]> {
  const folder = await mkdtemp(join(tmpdir(), 'autoglm-etcd-'));
  const ports: { readonly client: number; readonly peer: number }[] = [];
  while (ports.length < numMembers) {
    ports.push({ client: await freePort(), peer: await freePort() });
  }
  const cluster = ports.map(({ peer }, i) => `m${i}=http://127.0.0.1:${peer}`).join(',');
  test.after(async () => {
    await Promise.all(members.map((member) => member.kill()));
    await rm(folder, { recursive: true, force: true });
  });
  const members = ports.map(
    (own, i) => new EtcdMember({ name: `m${i}`, ...own, folder, cluster, certificate }),
  );
  return members;
}

/** Starts an etcd cluster that ends with the test. */
export async function startEtcd(
  ...args: Parameters<typeof createEtcd>
): Promise<readonly EtcdMember[]> {
  const members = await createEtcd(...args);
  await Promise.all(members.map((member) => member.start()));
  return members;
}

/** Returns the registry whose clients ask these addresses. */
export function registryAt(addresses: readonly string[]): string {
  return `etcd://${addresses.join(',')}`;
}
