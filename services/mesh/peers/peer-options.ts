import { Type } from 'typebox';

/** Silence of a process after which it is given up, unless the options say otherwise, seconds. */
export const PROGRESS_TIMEOUT_S = 3;

/** How a process treats the processes that it asks. */
export const peerOptionFields = {
  progressTimeoutS: Type.Integer({
    minimum: 2,
    maximum: 3600,
    default: PROGRESS_TIMEOUT_S,
    description:
      'Silence of a process after which its calls are given up and tried elsewhere, seconds',
  }),
  recoveryWaitS: Type.Number({
    minimum: 0,
    maximum: 3600,
    default: 10,
    description:
      'Longest that a request waits for a process that is being started again, seconds; 0: 503 at once',
  }),
  maxFails: Type.Integer({
    minimum: 0,
    maximum: 1000,
    default: 3,
    description:
      'Failures within fail-timeout-s after which a process is left out while others are there; 0: never',
  }),
  failTimeoutS: Type.Number({
    exclusiveMinimum: 0,
    maximum: 3600,
    default: 30,
    description:
      'Time that failures count, and most time that a process is left out unless it answers before, seconds',
  }),
} as const;
