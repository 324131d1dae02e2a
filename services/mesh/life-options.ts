import { Type } from 'typebox';

/** How a process lives and ends: the same options, with the same names, in every process. */
export const lifeOptionFields = {
  drainTimeoutS: Type.Number({
    minimum: 0,
    maximum: 86_400,
    default: 30,
    description:
      'Time running requests are given to finish when the mesh or a process ends, seconds',
  }),
  livenessTimeoutS: Type.Number({
    minimum: 0,
    maximum: 86_400,
    default: 10,
    description:
      'Time without an answer to the supervisor after which a process is killed and started again, seconds; 0: never',
  }),
} as const;
