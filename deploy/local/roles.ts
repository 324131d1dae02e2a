import { backboneOptions } from '#backbone/options.ts';
import { gatewayOptions } from '#gateway/options.ts';
import type { OptionSchema } from '#mesh/options.ts';

/** A kind of process the supervisor starts. */
export interface Role {
  /** Name of its section in the configuration, and of its log lines. */
  readonly name: string;
  readonly options: OptionSchema;
  /** Its main module from the package's root, without extension. */
  readonly main: string;
}

export const BACKBONE: Role = {
  name: 'llm-backbone',
  options: backboneOptions,
  main: 'services/llm-backbone/main',
};

export const GATEWAY: Role = { name: 'gateway', options: gatewayOptions, main: 'gateway/main' };

/** In starting order; stopped in the opposite one, so that the edge drains first. */
export const ROLES: readonly Role[] = [BACKBONE, GATEWAY];
