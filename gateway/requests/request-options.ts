import { Type } from 'typebox';

/** What is remembered of the last requests. */
export const requestProperties = {
  requestHistory: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    default: 1000,
    description: 'Requests that GET /v1/autoglm/requests remembers; 0: those that run',
  }),
  requestHistoryMb: Type.Number({
    minimum: 0,
    maximum: 1024,
    default: 4,
    description: 'Most memory for them, MB; beyond it the oldest are forgotten',
  }),
} as const;
