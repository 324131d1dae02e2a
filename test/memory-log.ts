import { pino } from 'pino';
import type { Log } from '#mesh/log/log.ts';

/** A log of all levels, and its lines. */
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
}
