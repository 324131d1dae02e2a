import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { freePort } from '#test/free-port.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';
import { scratchFolder } from '#test/scratch-folder.ts';

/** The command as a user runs it. */
export const AUTOGLM = join(PACKAGE_ROOT, 'deploy/cli/autoglm.mjs');

export type EncoderName = 'vision-encoder' | 'speech-encoder';

/** A running mesh: the supervisor and all its processes, on ports of their own. */
export interface Mesh {
  readonly url: string;
  /** Base URLs of all gateways. */
  readonly urls: readonly string[];
  /** Address of the llm-backbone's gRPC server. */
  readonly backboneAddress: string;
  readonly encoderAddresses: Readonly<Record<EncoderName, readonly string[]>>;
  readonly config: string;
  readonly supervisor: ChildProcess;
  /** Exit status of the supervisor; null if a signal ended it. */
  readonly exit: Promise<number | null>;
  /** Log of the supervisor and the processes as JSON lines; it ends when all of them are gone. */
  readonly lines: Lines;
  /** What they write to standard error, which the test shows, too. */
  readonly errors: Lines;
  /** Returns the running processes of a role, in the configuration's order. */
  instances(role: string): Promise<MeshInstance[]>;
  /** Returns their ids. */
  pids(role: string): Promise<number[]>;
  /** Ends the mesh as Ctrl-C does; resolves to the supervisor's exit status. */
  stop(): Promise<number | null>;
}

/** A running process of a mesh. */
export interface MeshInstance {
  readonly pid: number;
  /** Where it listens. */
  readonly address: string;
}

export interface MeshSettings {
  /** Model directory; unset: phone-nano. */
  readonly model?: string;
  /** Number of processes of each kind of encoder; unset: one. */
  readonly numEncoders?: Partial<Readonly<Record<EncoderName, number>>>;
  /** Number of llm-backbones and of gateways; unset: one. */
  readonly numBackbones?: number;
  readonly numGateways?: number;
  /** Further keys of every encoder, as YAML lines. */
  readonly encoders?: readonly string[];
  /** Further keys at the top level, as YAML lines. */
  readonly keys?: readonly string[];
  /** Further keys of the gateway, as YAML lines. */
  readonly gateway?: readonly string[];
  /** Further keys of the llm-backbone, as YAML lines. */
  readonly backbone?: readonly string[];
  /** The gateway's port; unset: a free one. */
  readonly port?: number;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Further flags of the command line. */
  readonly flags?: readonly string[];
}

/** The answers are those of a CPU; tests that speak of GPUs bring their own. */
const NO_GPUS = { CUDA_VISIBLE_DEVICES: '' };

/** Starts a mesh and waits until it can generate. */
export async function startMesh(settings: MeshSettings = {}): Promise<Mesh> {
  const mesh = await spawnMesh(settings);
  await mesh.lines.match(/Ready\b.*\. Try: curl/);
  return mesh;
}

/** Starts a mesh without waiting until it is ready. */
export async function spawnMesh(settings: MeshSettings = {}): Promise<Mesh> {
  const { config, ports, backbonePort, encoderAddresses } = await writeConfig(settings);
  const urls = ports.map((port) => `http://127.0.0.1:${port}`);
  const args = [AUTOGLM, 'serve', '--config', config, ...(settings.flags ?? [])];
  const supervisor = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...NO_GPUS, ...settings.env },
  });
  assert(supervisor.stdout !== null && supervisor.stderr !== null);
  const lines = new Lines(supervisor.stdout, LOADING_MS);
  const errors = new Lines(supervisor.stderr, LOADING_MS);
  supervisor.stderr.pipe(process.stderr);
  const exit = once(supervisor, 'exit').then(() => supervisor.exitCode);
  const backboneAddress = `127.0.0.1:${backbonePort}`;
  return {
    url: urls[0] ?? '',
    urls,
    backboneAddress,
    encoderAddresses,
    config,
    supervisor,
    exit,
    lines,
    errors,
    instances: (role) => instancesOf(config, role),
    pids: async (role) => (await instancesOf(config, role)).map(({ pid }) => pid),
    stop: async () => {
      supervisor.kill('SIGINT');
      await lines.ended;
      return exit;
    },
  };
}

interface WrittenConfig {
  readonly config: string;
  /** Port of the first gateway. */
  readonly port: number;
  /** Ports of all gateways. */
  readonly ports: readonly number[];
  readonly backbonePort: number;
  readonly encoderAddresses: Mesh['encoderAddresses'];
}

/** Writes a configuration on free ports. */
export async function writeConfig(settings: MeshSettings = {}): Promise<WrittenConfig> {
  const {
    model = PHONE_NANO,
    numEncoders,
    keys = [],
    encoders,
    backbone = [],
    gateway = [],
  } = settings;
  const { numBackbones = 1, numGateways = 1 } = settings;
  const ports = [settings.port ?? (await freePort()), ...(await freePorts(numGateways - 1))];
  const [port = 0] = ports;
  const [backbonePort = 0, ...backbonePorts] = await freePorts(numBackbones);
  const encoderAddresses = {
    'vision-encoder': await freeAddresses(numEncoders?.['vision-encoder'] ?? 1),
    'speech-encoder': await freeAddresses(numEncoders?.['speech-encoder'] ?? 1),
  };
  const folder = scratchFolder('e2e');
  const config = join(folder, 'config.yaml');
  const text = [
    `model: ${model}`,
    'drain-timeout-s: 20',
    ...keys,
    'gateway:',
    ...ports.flatMap((one) => [
      `  - port: ${one}`,
      ...indented(['host: 127.0.0.1', ...gateway], 4),
    ]),
    'llm-backbone:',
    ...[backbonePort, ...backbonePorts].flatMap((one) => [
      `  - listen: 127.0.0.1:${one}`,
      ...indented(['kv-cache-gb: 0.25', ...backbone], 4),
    ]),
    ...Object.entries(encoderAddresses).flatMap(([name, addresses]) => [
      `${name}:${addresses.length === 0 ? ' []' : ''}`,
      ...addresses.flatMap((address) => [`  - listen: ${address}`, ...indented(encoders, 4)]),
    ]),
  ];
  await writeFile(config, `${text.join('\n')}\n`);
  return { config, port, ports, backbonePort, encoderAddresses };
}

function indented(lines: readonly string[] = [], width = 2): string[] {
  return lines.map((line) => `${' '.repeat(width)}${line}`);
}

async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

async function freeAddresses(count: number): Promise<string[]> {
  return (await freePorts(count)).map((port) => `127.0.0.1:${port}`);
}

async function instancesOf(config: string, role: string): Promise<MeshInstance[]> {
  const { stdout } = await autoglm(['status', '--json', '--config', config]);
  const rows = property(JSON.parse(stdout), 'processes');
  assert(Array.isArray(rows));
  return rows
    .filter((one: unknown) => property(one, 'role') === role)
    .map((one: unknown) => {
      const pid = Number(property(one, 'pid'));
      assert(pid > 0, `a process does not say its id: ${stdout}`);
      return { pid, address: String(property(one, 'address')) };
    });
}

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `autoglm ARGS` to its end, with `input` as standard input. */
export function autoglm(
  args: readonly string[],
  input = '',
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env } };
    const child = execFile(process.execPath, [AUTOGLM, ...args], options, (_, stdout, stderr) => {
      resolve({ status: child.exitCode ?? -1, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** Returns a property of a parsed answer; undefined if there is none. */
export function property(value: unknown, ...path: readonly (string | number)[]): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== 'object' || found === null) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}
