import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ROLES } from '#deploy/local/roles.ts';
import { shareCores, usableCores } from '#mesh/devices/cores.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { within } from '#test/bounded.ts';
import { FaultProxy } from '#test/chaos/fault-proxy.ts';
import { registryAt } from '#test/contract/mesh/etcd/real-etcd.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { freePort } from '#test/free-port.ts';
import { type LoopbackConnection, ownerOf } from './connection-owner.ts';
import { Instance, type InstanceRole, type ProcessRole } from './instance.ts';
import { KeptProcess, type ProcessPlan } from './kept-process.ts';
import { planNginx } from './nginx.ts';
import { isGatewayReady, isServiceReady } from './readiness.ts';
import { createRegistry, type Registry } from './registry.ts';
import { Sightings } from './sightings.ts';

const ENCODER_ROLES = ['vision-encoder', 'speech-encoder'] as const;

const NUM_INSTANCES: Readonly<Record<ProcessRole, number>> = {
  'llm-backbone': 3,
  'vision-encoder': 2,
  'speech-encoder': 2,
  gateway: 2,
};

const LOOK_MS = 100;

/** How an instance is started, and who asks it. */
interface InstancePlan {
  readonly role: ProcessRole;
  readonly number: number;
  readonly flags: readonly string[];
  readonly askedBy: readonly ProcessRole[];
}

export interface MeshSettings {
  /** Whether the processes find each other in an etcd; else they are told the addresses. */
  readonly hasRegistry: boolean;
  /** Gives up the start. */
  readonly signal: AbortSignal;
}

/** The way to an instance. */
interface LinkPlan {
  readonly name: string;
  readonly port: number;
  readonly askers: () => readonly Instance[];
  /** Gets the name of each asker that sends a request. */
  readonly noteUse: (asker: string) => void;
}

/**
 * A mesh of separate processes behind nginx, all on loopback. A backbone or an encoder is reached
 * through a fault proxy, and etcd by each process through one of its own; every process is started
 * again when it ends.
 */
export class ChaosMesh {
  readonly url: string;
  readonly sightings = new Sightings();
  /** Folder of the logs, one file for each process. */
  readonly folder: string;
  readonly #instances: Instance[] = [];
  readonly #proxies: FaultProxy[] = [];
  readonly #nginxPort: number;
  #registry: Registry | undefined;
  #nginx: KeptProcess | undefined;

  private constructor(folder: string, nginxPort: number) {
    this.folder = folder;
    this.#nginxPort = nginxPort;
    this.url = `http://127.0.0.1:${nginxPort}`;
  }

  /** Starts all processes; resolves when every one of them is ready. */
  static async start(settings: MeshSettings): Promise<ChaosMesh> {
    const folder = await mkdtemp(join(tmpdir(), 'autoglm-chaos-'));
    // Started by root, nginx keeps bodies there as another user.
    await chmod(folder, 0o755);
    const mesh = new ChaosMesh(folder, await freePort());
    try {
      await mesh.#start(settings);
    } catch (error: unknown) {
      await mesh.close();
      throw error;
    }
    return mesh;
  }

  get instances(): readonly Instance[] {
    return this.#instances;
  }

  ofRole(role: InstanceRole): readonly Instance[] {
    return this.#instances.filter((one) => one.role === role);
  }

  /** Returns the gateway that nginx names by its address; undefined if it names none. */
  gatewayAt(address: string): Instance | undefined {
    return this.ofRole('gateway').find(({ address: own }) => own === address);
  }

  /** Ends every process; the logs stay. */
  async close(): Promise<void> {
    await this.#nginx?.close();
    await Promise.all(this.#instances.map(({ process }) => process.close()));
    for (const proxy of this.#proxies) proxy.close();
  }

  /** Removes the logs. */
  async removeLogs(): Promise<void> {
    await rm(this.folder, { recursive: true });
  }

  async #start({ hasRegistry, signal }: MeshSettings): Promise<void> {
    if (hasRegistry) await this.#addRegistry();
    await this.#addEncoders();
    await this.#addBackbones();
    await this.#addGateways();
    for (const { process } of this.#instances) process.start();
    await Promise.all(this.#instances.map((one) => one.ready(signal)));
    const ports = this.ofRole('gateway').map(({ port }) => port);
    const { folder } = this;
    this.#nginx = new KeptProcess(
      planNginx({ folder, port: this.#nginxPort, gatewayPorts: ports }),
    );
    this.#nginx.start();
    await within(this.#untilServed(), { what: 'an answer through nginx' });
  }

  async #untilServed(): Promise<void> {
    while (!(await isGatewayReady(this.#nginxPort))) await delay(LOOK_MS);
  }

  async #addRegistry(): Promise<void> {
    const roles: readonly ProcessRole[] = [...ENCODER_ROLES, 'llm-backbone', 'gateway'];
    this.#registry = await createRegistry(this.folder, roles.flatMap(namesOf));
    this.#instances.push(this.#registry.instance);
    this.#proxies.push(...this.#registry.instance.links);
  }

  async #addEncoders(): Promise<void> {
    const cores = shareCores(usableCores(), ENCODER_ROLES.flatMap(namesOf).length);
    let count = 0;
    for (const role of ENCODER_ROLES) {
      for (let number = 1; number <= NUM_INSTANCES[role]; number++) {
        const device = cores[count++] ?? 'cpu';
        const flags = ['--model', PHONE_NANO, '--device', device, '--decoders', '1'];
        await this.#add({ role, number, flags, askedBy: ['llm-backbone'] });
      }
    }
  }

  async #addBackbones(): Promise<void> {
    const role = 'llm-backbone';
    const cores = shareCores(usableCores(), NUM_INSTANCES[role]);
    for (let number = 1; number <= NUM_INSTANCES[role]; number++) {
      const device = cores[number - 1] ?? 'cpu';
      const flags = [
        ...['--model', PHONE_NANO, '--device', device, '--kv-cache-gb', '0.1'],
        ...ENCODER_ROLES.flatMap((asked) => this.#addressFlags(asked, `--${asked}`)),
      ];
      await this.#add({ role, number, flags, askedBy: ['gateway'] });
    }
  }

  async #addGateways(): Promise<void> {
    const role = 'gateway';
    for (let number = 1; number <= NUM_INSTANCES[role]; number++) {
      const flags = [
        ...['--host', '127.0.0.1', '--trusted-proxies', '127.0.0.1'],
        ...this.#addressFlags('llm-backbone', '--backbone'),
      ];
      await this.#add({ role, number, flags, askedBy: [] });
    }
  }

  /** Tells a process the addresses of a role's instances, unless it finds them in the registry. */
  #addressFlags(role: ProcessRole, flag: string): readonly string[] {
    if (this.#registry !== undefined) return [];
    const links = this.ofRole(role).flatMap((one) => one.links);
    return [flag, ...links.map(({ address }) => address)];
  }

  /** Tells a process where it finds the others, and at which proxy they find it. */
  #registryFlags(name: string, links: readonly FaultProxy[]): readonly string[] {
    const ownLink = this.#registry?.links.get(name);
    if (ownLink === undefined) return [];
    const advertised = links.flatMap(({ address }) => ['--advertise', address]);
    return ['--registry', registryAt([ownLink.address]), ...advertised];
  }

  async #add({ role, number, flags, askedBy }: InstancePlan): Promise<void> {
    const name = nameOf(role, number);
    const port = await freePort();
    const isGateway = role === 'gateway';
    const place = isGateway ? ['--port', String(port)] : ['--listen', `127.0.0.1:${port}`];
    const askers = () => askedBy.flatMap((one) => this.ofRole(one));
    const noteUse = (asker: string) => instance.noteUse(asker);
    const links = isGateway ? [] : [await this.#openLink({ name, port, askers, noteUse })];
    const all = [...flags, ...place, ...this.#registryFlags(name, links)];
    const instance = new Instance({
      name,
      role,
      port,
      links,
      process: new KeptProcess(this.#plan(name, role, all)),
      isReady: () => (isGateway ? isGatewayReady(port) : isServiceReady(port)),
      askers,
    });
    this.#instances.push(instance);
  }

  /** Opens the way to an instance, on which is seen who asks it. */
  async #openLink({ name, port, askers, noteUse }: LinkPlan): Promise<FaultProxy> {
    const observe = (clientPort: number) => {
      const connection = { localPort: clientPort, remotePort: link.port };
      const asker = openerOf(connection, askers());
      return this.sightings.observer(name, () => {
        if (asker !== undefined) noteUse(asker.name);
      });
    };
    const link = await FaultProxy.open({ targetPort: port, observe });
    this.#proxies.push(link);
    return link;
  }

  #plan(name: string, role: ProcessRole, flags: readonly string[]): ProcessPlan {
    const main = ROLES.find((one) => one.name === role)?.main ?? '';
    return {
      name,
      command: process.execPath,
      args: [join(PACKAGE_ROOT, 'build', `${main}.js`), ...flags],
      logPath: join(this.folder, `${name}.log`),
      hasChannel: true,
      endSignal: 'SIGKILL',
    };
  }
}

/** Returns the instance that has opened a connection. */
function openerOf(
  connection: LoopbackConnection,
  instances: readonly Instance[],
): Instance | undefined {
  const pid = ownerOf(
    connection,
    instances.flatMap(({ process }) => process.pid ?? []),
  );
  return instances.find(({ process }) => pid !== undefined && process.pid === pid);
}

function nameOf(role: ProcessRole, number: number): string {
  return `${role}-${number}`;
}

function namesOf(role: ProcessRole): readonly string[] {
  return Array.from({ length: NUM_INSTANCES[role] }, (_, index) => nameOf(role, index + 1));
}
