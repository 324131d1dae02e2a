import type { InstanceRole } from '#test/chaos/mesh/instance.ts';

/** A fault that was done. */
export interface FaultRecord {
  readonly kind: string;
  readonly target: string;
  readonly role: InstanceRole;
  /** Address on which the target listens. */
  readonly address: string;
  readonly beganMs: number;
  /** Time at which it was over and the target ready again; infinite until then. */
  endedMs: number;
}
