import { Type } from 'typebox';
import { createMeshClient, openChannel } from '#mesh/grpc/grpc-client.ts';
import { helpText, parseFlags, resolveOptions } from '#mesh/options.ts';
import { InstanceServiceDefinition, InstanceState } from '#protos/autoglm/mesh/v1/instance.ts';
import type { ProcessConfig } from '../local/config.ts';
import { gatewayUrl } from '../local/readiness.ts';
import { GATEWAY } from '../local/roles.ts';
import type { Command } from './command.ts';
import { loadConfig } from './serve.ts';
import { formatTable } from './table.ts';

const ANSWER_LIMIT_MS = 2000;

const statusOptions = Type.Object(
  {
    config: Type.Optional(
      Type.String({ description: 'Configuration file of the mesh', minLength: 1 }),
    ),
    json: Type.Boolean({ description: 'Print one JSON object', default: false }),
  },
  { additionalProperties: false },
);

/** One process as `status` shows it. */
interface ProcessStatus {
  readonly process: string;
  readonly address: string;
  readonly ready: boolean;
  readonly state: string;
  readonly device: string;
  readonly model: string;
  readonly pid: string;
  readonly uptimeS: string;
  readonly detail: string;
}

/** `autoglm status`: shows which processes run at which addresses, and whether they are ready. */
export const status: Command = {
  name: 'status',
  summary: 'show what runs where, ready or not',
  help: () =>
    `Usage: autoglm status [options]\n\nAsks every process of the configuration; exit status 1 when one is not ready.\n\nOptions [default]:\n${helpText(statusOptions)}\n`,
  run: async (args) => {
    const options = resolveOptions(statusOptions, parseFlags(statusOptions, args));
    const { processes } = await loadConfig(
      options.config === undefined ? [] : [`--config=${options.config}`],
    );
    const rows = await Promise.all(processes.map(statusOf));
    const isReady = rows.every((row) => row.ready);
    const text = options.json
      ? JSON.stringify({ ready: isReady, processes: rows })
      : formatTable(rows.map(({ ready: _, ...row }) => row));
    process.stdout.write(`${text}\n`);
    return isReady ? 0 : 1;
  },
};

function statusOf(one: ProcessConfig): Promise<ProcessStatus> {
  return one.role.name === GATEWAY.name ? gatewayStatus(one) : instanceStatus(one);
}

const STATE_NAMES = {
  [InstanceState.INSTANCE_STATE_UNSPECIFIED]: 'unknown',
  [InstanceState.INSTANCE_STATE_STARTING]: 'starting',
  [InstanceState.INSTANCE_STATE_READY]: 'ready',
  [InstanceState.INSTANCE_STATE_DRAINING]: 'draining',
  [InstanceState.INSTANCE_STATE_FAILED]: 'failed',
  [InstanceState.UNRECOGNIZED]: 'unknown',
} as const;

const UNKNOWN = { device: '', model: '', pid: '', uptimeS: '', detail: '' } as const;

async function gatewayStatus({ role, values }: ProcessConfig): Promise<ProcessStatus> {
  const address = gatewayUrl(values);
  const row = { ...UNKNOWN, process: role.name, address };
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const answer = await fetch(`${address}/health`, { signal });
    const body = await answer.text();
    if (answer.ok) return { ...row, ready: true, state: 'ready' };
    return { ...row, ready: false, state: 'not ready', detail: body };
  } catch (error: unknown) {
    return { ...row, ready: false, state: 'unreachable', detail: reasonOf(error) };
  }
}

async function instanceStatus({ role, values }: ProcessConfig): Promise<ProcessStatus> {
  const address = String(values['listen']);
  const channel = openChannel(address, 'tokens');
  const client = createMeshClient(InstanceServiceDefinition, channel);
  try {
    const signal = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const answer = await client.getStatus({}, { signal });
    return {
      process: role.name,
      address,
      ready: answer.state === InstanceState.INSTANCE_STATE_READY,
      state: STATE_NAMES[answer.state],
      device: answer.isa === '' ? answer.device : `${answer.device} (${answer.isa})`,
      model: answer.modelId,
      pid: String(answer.pid),
      uptimeS: (Number(answer.uptimeMs) / 1000).toFixed(0),
      detail: answer.detail,
    };
  } catch (error: unknown) {
    const row = { ...UNKNOWN, process: role.name, address };
    return { ...row, ready: false, state: 'unreachable', detail: reasonOf(error) };
  } finally {
    channel.close();
  }
}

/** Returns the reason of a failed fetch ("ECONNREFUSED …"), which fetch puts into the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
