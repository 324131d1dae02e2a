import { pino } from 'pino';
import type { Log } from '#mesh/log/log.ts';

/** Makes a log of all levels that keeps its lines. */
export function memoryLog(): { readonly log: Log; readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const write = (line: string) => lines.push(JSON.parse(line));
  return { log: pino({ level: 'debug' }, { write }), lines };
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly request_id?: string;
  readonly reason?: string;
  readonly status?: number;
  readonly elapsed_ms?: number;
}
