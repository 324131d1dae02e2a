import { pino } from 'pino';
import pretty from 'pino-pretty';

export type Log = pino.Logger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  /** Which process speaks: "gateway", "llm-backbone", … */
  readonly role: string;
  readonly level: LogLevel;
  /** `auto`: pretty on a terminal, JSON otherwise. */
  readonly format: 'auto' | 'pretty' | 'json';
  /** Also append JSON lines to this file. */
  readonly path?: string | undefined;
}

// Prompts, media and credentials never reach a log line.
const REDACT = ['headers.authorization', '*.authorization', 'apiKey', '*.apiKey', '*.messages'];

/** Opens the process's log: `[INFO] message` for people, JSON lines for machines. */
export function createLog(options: LogOptions): Log {
  const isPretty =
    options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY === true);
  const streams: pino.StreamEntry[] = [
    { level: options.level, stream: isPretty ? prettyStream() : process.stdout },
  ];
  if (options.path !== undefined) {
    const file = pino.destination({ dest: options.path, mkdir: true, append: true, sync: true });
    streams.push({ level: options.level, stream: file });
  }
  return pino(
    { level: options.level, base: { role: options.role }, redact: REDACT },
    pino.multistream(streams),
  );
}

function prettyStream(): ReturnType<typeof pretty> {
  return pretty({
    colorize: process.stdout.isTTY === true,
    ignore: 'level,time,pid,hostname,role',
    messageFormat: '[{levelLabel}] {msg}',
    customLevels: 'TRACE:10,DEBUG:20,INFO:30,WARN:40,ERROR:50',
    singleLine: true,
    sync: true,
  });
}
