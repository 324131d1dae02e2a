import { backboneOptions } from '#backbone/options.ts';
import { gatewayOptions } from '#gateway/options.ts';
import type { OptionSchema } from '#mesh/options.ts';
import { speechEncoderOptions } from '#speech/options.ts';
import { visionEncoderOptions } from '#vision/options.ts';
import type { TowerModality } from './model-towers.ts';

/** A kind of process that the supervisor starts. */
export interface Role {
  /** Name of its section in the configuration and of its lines in the log. */
  readonly name: string;
  readonly options: OptionSchema;
  /** Path of its main module from the package's root, without extension. */
  readonly main: string;
  /** Variables that it starts with, unless they are set. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** A process with one tower of the model. */
export interface TowerRole extends Role {
  readonly modality: TowerModality;
  /** The backbone's option that lists the addresses of such processes. */
  readonly addressOption: 'visionEncoder' | 'speechEncoder';
}

export const VISION_ENCODER: TowerRole = {
  name: 'vision-encoder',
  options: visionEncoderOptions,
  main: 'services/vision-encoder/main',
  modality: 'image',
  addressOption: 'visionEncoder',
};

export const SPEECH_ENCODER: TowerRole = {
  name: 'speech-encoder',
  options: speechEncoderOptions,
  main: 'services/speech-encoder/main',
  modality: 'audio',
  addressOption: 'speechEncoder',
};

export const ENCODERS: readonly TowerRole[] = [VISION_ENCODER, SPEECH_ENCODER];

export const BACKBONE: Role = {
  name: 'llm-backbone',
  options: backboneOptions,
  main: 'services/llm-backbone/main',
};

export const GATEWAY: Role = {
  name: 'gateway',
  options: gatewayOptions,
  main: 'gateway/main',
  // Once a large block has been freed, glibc keeps up to 64 MB at the end of the heap, and what lies
  // before it. A fixed threshold gives the bodies of a flood back to the system.
  environment: { MALLOC_TRIM_THRESHOLD_: '131072' },
};

export const ROLES: readonly Role[] = [BACKBONE, GATEWAY, ...ENCODERS];
