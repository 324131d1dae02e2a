import { type Static, Type } from 'typebox';

/** How a process logs: the same options, with the same names, in every process. */
export const logOptionFields = {
  logLevel: Type.Union(
    [
      Type.Literal('trace'),
      Type.Literal('debug'),
      Type.Literal('info'),
      Type.Literal('warn'),
      Type.Literal('error'),
    ],
    { default: 'info', description: 'Least severe lines to log' },
  ),
  logFormat: Type.Union([Type.Literal('auto'), Type.Literal('pretty'), Type.Literal('json')], {
    default: 'auto',
    description: 'auto: pretty on a terminal, JSON otherwise',
  }),
  logPath: Type.Optional(
    Type.String({ minLength: 1, description: 'Also append JSON lines to this file' }),
  ),
  logIsolation: Type.Boolean({
    default: false,
    description:
      'Append them to a file of the process beside log-path instead, named after it: gateway.log, llm-backbone-2.log',
  }),
} as const;

export const logOptions = Type.Object(logOptionFields, { additionalProperties: false });

export type LogSettings = Static<typeof logOptions>;

/** Returns the settings of a log as `createLog` takes them. */
export function logOf({ logLevel, logFormat, logPath, logIsolation }: LogSettings) {
  return { level: logLevel, format: logFormat, path: logPath, isIsolated: logIsolation };
}
