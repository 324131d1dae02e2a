import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  InstanceServiceDefinition,
  type InstanceServiceImplementation,
  type InstanceState,
} from '#protos/autoglm/mesh/v1/instance.ts';
import type { MetricRegistry } from './metrics.ts';
import { PACKAGE_ROOT } from './paths.ts';

export const INSTANCE_SERVICE = InstanceServiceDefinition.fullName;

/** What a process says of itself; fields it does not know yet stay empty. */
export interface InstanceStatus {
  role: 'llm-backbone' | 'vision-encoder' | 'speech-encoder';
  state: InstanceState;
  detail: string;
  device: string;
  isa: string;
  modelId: string;
  fingerprint: string;
}

/** The software's version: the one number in package.json. */
export const VERSION = readVersion();

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8'));
  const isManifest = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  if (!isManifest) throw new Error('package.json has no version');
  return String(parsed.version);
}

/** Serves the status and the metrics of this process. */
export function createInstanceService(
  status: () => InstanceStatus,
  metrics: MetricRegistry,
): InstanceServiceImplementation {
  return {
    getStatus: async () => ({
      ...status(),
      version: VERSION,
      pid: process.pid,
      uptimeMs: BigInt(Math.round(process.uptime() * 1000)),
    }),
    getMetrics: async () => ({ families: metrics.collect() }),
  };
}
