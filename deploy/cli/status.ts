import { Type } from 'typebox';
import { parseFlags } from '#mesh/command-line/flags.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { isRecord } from '#mesh/json-value.ts';
import { helpText, resolveOptions } from '#mesh/options.ts';
import {
  type InstanceLoad,
  InstanceServiceDefinition,
  InstanceState,
} from '#protos/autoglm/mesh/v1/instance.ts';
import { callSupervisor } from '../local/control/control-client.ts';
import type { ProcessReport } from '../local/control/control-protocol.ts';
import type { MeshProcess } from '../local/mesh-state.ts';
import { GATEWAY } from '../local/roles.ts';
import type { Command } from './command.ts';
import { type FoundMesh, findMeshes } from './find-mesh.ts';
import { differingModels, registeredProcesses } from './registered-mesh.ts';
import { formatTable } from './table.ts';

const ANSWER_LIMIT_MS = 2000;
/** Longest text of the last column, so that a process is one line. */
const MAX_DETAIL_CHARS = 120;

const statusOptions = Type.Object(
  {
    config: Type.Optional(
      Type.String({ description: 'Configuration file of the mesh', minLength: 1 }),
    ),
    registry: Type.Optional(
      Type.String({
        meaning: 'registry',
        description: 'Registry whose processes are shown instead, as the key of that name has it',
      }),
    ),
    json: Type.Boolean({ description: 'Print one JSON object', default: false }),
  },
  { additionalProperties: false },
);

/** One process as `status` shows it. */
interface ProcessStatus {
  readonly process: string;
  readonly role: string;
  readonly address: string;
  readonly ready: boolean;
  readonly state: string;
  /** Work that is computed and waits, and how much is computed at most: `3+1/64`. */
  readonly load: string;
  readonly version: string;
  readonly device: string;
  readonly model: string;
  readonly pid: string;
  readonly uptimeS: string;
  /** Times that the supervisor has started it again. */
  readonly restarts: string;
  /** Where its supervisor knows that it shows its metrics, `host:port`. */
  readonly metrics: string;
  readonly detail: string;
}

/** `autoglm status`: shows which processes run at which addresses, and whether they are ready. */
export const status: Command = {
  name: 'status',
  summary: 'show what runs where, ready or not',
  help: () =>
    `Usage: autoglm status [options]\n\nAsks every process of the meshes that run here, of those of a configuration, or of a registry; exit\nstatus 1 when one is not ready.\n\nOptions [default]:\n${helpText(statusOptions)}\n`,
  run: async (args) => {
    const options = resolveOptions(statusOptions, parseFlags(statusOptions, args));
    const { registry, config } = options;
    const processes =
      registry === undefined ? await foundProcesses(config) : await registeredProcesses(registry);
    const rows = await Promise.all(processes.map(statusOf));
    const isReady = rows.length > 0 && rows.every((row) => row.ready);
    const text = options.json
      ? JSON.stringify({ ready: isReady, processes: rows })
      : formatTable(rows.map(({ ready: _, role: __, ...row }) => row));
    process.stdout.write(`${text}\n`);
    const differences = registry === undefined ? [] : await differingModels(registry);
    for (const line of differences) process.stderr.write(`autoglm status: ${line}\n`);
    return isReady ? 0 : 1;
  },
};

/** A process, and what its supervisor says of it if there is one. */
type KnownProcess = MeshProcess & Partial<ProcessReport>;

async function foundProcesses(config: string | undefined): Promise<readonly KnownProcess[]> {
  const meshes = await findMeshes(config);
  return (await Promise.all(meshes.map(processesOf))).flat();
}

/** Asks the supervisor of a mesh for its processes; without one, they are those configured. */
async function processesOf({ processes, control }: FoundMesh): Promise<readonly KnownProcess[]> {
  if (control === '') return processes;
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    return await callSupervisor({ command: 'status' }, { path: control, signal });
  } catch (error: unknown) {
    process.stderr.write(`autoglm status: ${errorMessage(error)}\n`);
    return processes;
  }
}

async function statusOf(one: KnownProcess): Promise<ProcessStatus> {
  const status = await (one.role === GATEWAY.name ? gatewayStatus(one) : instanceStatus(one));
  return { ...status, ...supervisedStatus(one, status) };
}

/** Returns what the supervisor knows better than the process. */
function supervisedStatus(
  { state, progress, pid, numRestarts, metrics = '' }: KnownProcess,
  status: ProcessStatus,
): Partial<ProcessStatus> {
  if (state === undefined || pid === undefined || numRestarts === undefined) return {};
  const known = {
    restarts: String(numRestarts),
    metrics,
    ...(pid !== 0 && { pid: String(pid) }),
  };
  if (state === 'ending') return { ...known, ready: false, state: 'draining' };
  const isAway = state === 'starting' && !status.ready;
  if (!isAway) return known;
  const away = numRestarts > 0 || pid === 0 ? 'restarting' : state;
  return { ...known, state: progress || away };
}

const STATE_NAMES = {
  [InstanceState.INSTANCE_STATE_UNSPECIFIED]: 'unknown',
  [InstanceState.INSTANCE_STATE_STARTING]: 'starting',
  [InstanceState.INSTANCE_STATE_READY]: 'ready',
  [InstanceState.INSTANCE_STATE_DRAINING]: 'draining',
  [InstanceState.INSTANCE_STATE_FAILED]: 'failed',
  [InstanceState.UNRECOGNIZED]: 'unknown',
} as const;

/** Makes a row of what is known of a process; the order of the fields is that of the columns. */
function rowOf(
  { name, role, address }: MeshProcess,
  known: Partial<ProcessStatus> & Pick<ProcessStatus, 'ready' | 'state'>,
): ProcessStatus {
  const { ready, state, load = '', device = '', model = '', version = '', detail = '' } = known;
  const life = { pid: known.pid ?? '', uptimeS: known.uptimeS ?? '', restarts: '', metrics: '' };
  const where = { process: name, role, address };
  return { ...where, ready, state, load, device, model, version, ...life, detail };
}

async function gatewayStatus(one: MeshProcess): Promise<ProcessStatus> {
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const answer = await fetch(`${one.address}/health`, { signal });
    const body = await answer.text();
    const facts = {
      load: await factOf(one, 'load', { key: 'server_load', signal }),
      version: await factOf(one, 'version', { key: 'version', signal }),
    };
    if (answer.ok) return rowOf(one, { ready: true, ...healthOf(body), ...facts });
    return rowOf(one, { ready: false, state: 'not ready', ...facts, detail: oneLine(body) });
  } catch (error: unknown) {
    return unreachable(one, error);
  }
}

/** Reads one value that a gateway answers at a route; "" if it has none. */
async function factOf(
  { address }: MeshProcess,
  route: string,
  { key, signal }: { readonly key: string; readonly signal: AbortSignal },
): Promise<string> {
  const answer = await fetch(`${address}/${route}`, { signal });
  const facts: unknown = answer.ok ? await answer.json() : await answer.arrayBuffer();
  return isRecord(facts) ? String(facts[key] ?? '') : '';
}

function loadText(load: InstanceLoad | undefined): string {
  if (load === undefined) return '';
  return `${load.numRunning}+${load.numWaiting}/${load.capacity}`;
}

/** Reads what a gateway that can generate says of its health. */
function healthOf(body: string): Pick<ProcessStatus, 'state' | 'detail'> {
  const health: unknown = JSON.parse(body);
  const away = isRecord(health) && Array.isArray(health['away']) ? health['away'] : [];
  if (away.length === 0) return { state: 'ready', detail: '' };
  return { state: 'degraded', detail: `no encoder for ${away.join(' and ')} is ready` };
}

async function instanceStatus(one: MeshProcess): Promise<ProcessStatus> {
  const channel = openChannel(one.address, 'tokens');
  const client = createMeshClient(InstanceServiceDefinition, channel);
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const answer = await client.getStatus({}, { signal });
    return rowOf(one, {
      ready: answer.state === InstanceState.INSTANCE_STATE_READY,
      state: STATE_NAMES[answer.state],
      load: loadText(answer.load),
      version: answer.version,
      device: answer.isa === '' ? answer.device : `${answer.device} (${answer.isa})`,
      model: answer.modelId,
      pid: String(answer.pid),
      uptimeS: (Number(answer.uptimeMs) / 1000).toFixed(0),
      detail: oneLine(answer.detail),
    });
  } catch (error: unknown) {
    return unreachable(one, error);
  } finally {
    channel.close();
  }
}

function unreachable(one: MeshProcess, error: unknown): ProcessStatus {
  return rowOf(one, { ready: false, state: 'unreachable', detail: reasonOf(error) });
}

/** Returns why a process did not answer, without what the libraries say around it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The reason of a failed fetch is its cause.
  const message = error.cause instanceof Error ? error.cause.message : error.message;
  if (message.includes('ECONNREFUSED')) return 'nothing listens there';
  const isLate = error.name === 'TimeoutError' || error.name === 'AbortError';
  return isLate ? `no answer within ${ANSWER_LIMIT_MS / 1000} s` : oneLine(message);
}

function oneLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_DETAIL_CHARS ? `${line.slice(0, MAX_DETAIL_CHARS - 1)}…` : line;
}
