import { Type } from 'typebox';

/** Value of `metrics-listen` for a process without a page of its own. */
export const NO_METRICS_PAGE = 'off';

/** Where a process shows its metrics: the same option, with the same name, in every process. */
export const metricsOptionFields = {
  metricsListen: Type.String({
    default: '127.0.0.1:0',
    meaning: 'address or off',
    description:
      'Address of the page /metrics of this process alone, host:port; port 0 picks a free one, which "autoglm status" shows; off: no such page',
  }),
} as const;
