import { type Static, Type } from 'typebox';

/**
 * The protocol of a supervisor's socket: a client writes one request as a line of JSON; the answer
 * is lines of JSON, any number of `progress` and then one other.
 */
export const requestSchema = Type.Union([
  Type.Object({ command: Type.Literal('status') }),
  Type.Object({
    command: Type.Literal('scale'),
    /** Number of processes by the name of their role. */
    replicas: Type.Record(Type.String(), Type.Unknown()),
  }),
  /** Restarts the processes of a role, one process, or, if the name is empty, all. */
  Type.Object({ command: Type.Literal('restart'), name: Type.String() }),
]);

export type ControlRequest = Static<typeof requestSchema>;

const reportSchema = Type.Object({
  name: Type.String(),
  role: Type.String(),
  /** URL of a gateway, host:port of another process. */
  address: Type.String(),
  state: Type.Union([Type.Literal('starting'), Type.Literal('running'), Type.Literal('ending')]),
  /** How far its start has come, in words; '' if there is nothing to say. */
  progress: Type.String(),
  /** Id of the process; 0 while it waits to be started. */
  pid: Type.Integer({ minimum: 0 }),
  numRestarts: Type.Integer({ minimum: 0 }),
  /** Where it shows its metrics, or did when it was last there, host:port; '' if nowhere. */
  metrics: Type.String(),
});

/** One process as its supervisor sees it. */
export type ProcessReport = Static<typeof reportSchema>;

export const answerSchema = Type.Union([
  Type.Object({ kind: Type.Literal('progress'), text: Type.String() }),
  Type.Object({ kind: Type.Literal('done'), processes: Type.Array(reportSchema) }),
  Type.Object({ kind: Type.Literal('refused'), message: Type.String() }),
]);

export type ControlAnswer = Static<typeof answerSchema>;

/** Most characters of a request. */
export const MAX_REQUEST_CHARS = 65_536;
