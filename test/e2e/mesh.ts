import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { PHONE_NANO } from '#test/e2e/request/phone-cases.ts';
import { freePort } from '#test/free-port.ts';
import { Lines, LOADING_MS } from '#test/lines.ts';

/** The command as a user runs it. */
export const AUTOGLM = join(PACKAGE_ROOT, 'deploy/cli/autoglm.mjs');

export type EncoderName = 'vision-encoder' | 'speech-encoder';

/** A running mesh: the supervisor and all its processes, on ports of their own. */
export interface Mesh {
  readonly url: string;
  /** Address of the llm-backbone's gRPC server. */
  readonly backboneAddress: string;
  readonly encoderAddresses: Readonly<Record<EncoderName, readonly string[]>>;
  readonly config: string;
  readonly supervisor: ChildProcess;
  /** Exit status of the supervisor; null if a signal ended it. */
  readonly exit: Promise<number | null>;
  /** Log of the supervisor and the processes as JSON lines; it ends when all of them are gone. */
  readonly lines: Lines;
  /** Returns the ids of the running processes of a role, in the configuration's order. */
  pids(role: string): Promise<number[]>;
  /** Ends the mesh as Ctrl-C does; resolves to the supervisor's exit status. */
  stop(): Promise<number | null>;
}

export interface MeshSettings {
  /** Model directory; unset: phone-nano. */
  readonly model?: string;
  /** Number of processes of each kind of encoder; unset: one. */
  readonly numEncoders?: Partial<Readonly<Record<EncoderName, number>>>;
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
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a mesh and waits until it can generate. */
export async function startMesh(settings: MeshSettings = {}): Promise<Mesh> {
  const mesh = await spawnMesh(settings);
  await mesh.lines.match(/Ready\. Try: curl/);
  return mesh;
}

/** Starts a mesh without waiting until it is ready. */
export async function spawnMesh(settings: MeshSettings = {}): Promise<Mesh> {
  const { config, port, backbonePort, encoderAddresses } = await writeConfig(settings);
  const supervisor = spawn(process.execPath, [AUTOGLM, 'serve', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...settings.env },
  });
  assert(supervisor.stdout !== null);
  const lines = new Lines(supervisor.stdout, LOADING_MS);
  const exit = once(supervisor, 'exit').then(() => supervisor.exitCode);
  const backboneAddress = `127.0.0.1:${backbonePort}`;
  return {
    url: `http://127.0.0.1:${port}`,
    backboneAddress,
    encoderAddresses,
    config,
    supervisor,
    exit,
    lines,
    pids: (role) => pidsOf(config, role),
    stop: async () => {
      supervisor.kill('SIGINT');
      await lines.ended;
      return exit;
    },
  };
}

interface WrittenConfig {
  readonly config: string;
  readonly port: number;
  readonly backbonePort: number;
  readonly encoderAddresses: Mesh['encoderAddresses'];
}

/** Writes a configuration on free ports. */
export async function writeConfig(settings: MeshSettings = {}): Promise<WrittenConfig> {
  const { model = PHONE_NANO, numEncoders, keys = [], encoders, backbone, gateway } = settings;
  const [port, backbonePort] = [await freePort(), await freePort()];
  const encoderAddresses = {
    'vision-encoder': await freeAddresses(numEncoders?.['vision-encoder'] ?? 1),
    'speech-encoder': await freeAddresses(numEncoders?.['speech-encoder'] ?? 1),
  };
  const folder = await mkdtemp(join(tmpdir(), 'autoglm-e2e-'));
  const config = join(folder, 'config.yaml');
  const text = [
    `model: ${model}`,
    'drain-timeout-s: 20',
    ...keys,
    'gateway:',
    '  host: 127.0.0.1',
    `  port: ${settings.port ?? port}`,
    ...indented(gateway),
    'llm-backbone:',
    `  listen: 127.0.0.1:${backbonePort}`,
    '  kv-cache-gb: 0.25',
    ...indented(backbone),
    ...Object.entries(encoderAddresses).flatMap(([name, addresses]) => [
      `${name}:${addresses.length === 0 ? ' []' : ''}`,
      ...addresses.flatMap((address) => [`  - listen: ${address}`, ...indented(encoders, 4)]),
    ]),
  ];
  await writeFile(config, `${text.join('\n')}\n`);
  return { config, port, backbonePort, encoderAddresses };
}

function indented(lines: readonly string[] = [], width = 2): string[] {
  return lines.map((line) => `${' '.repeat(width)}${line}`);
}

async function freeAddresses(count: number): Promise<string[]> {
  const addresses: string[] = [];
  while (addresses.length < count) addresses.push(`127.0.0.1:${await freePort()}`);
  return addresses;
}

async function pidsOf(config: string, role: string): Promise<number[]> {
  const { stdout } = await autoglm(['status', '--json', '--config', config]);
  const rows = property(JSON.parse(stdout), 'processes');
  assert(Array.isArray(rows));
  return rows
    .filter((one: unknown) => property(one, 'process') === role)
    .map((one: unknown) => Number(property(one, 'pid')));
}

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `autoglm ARGS` to its end, with `input` as standard input. */
export function autoglm(args: readonly string[], input = ''): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [AUTOGLM, ...args], (_, stdout, stderr) => {
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
