import { isatty } from 'node:tty';
import { pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { backgroundClock } from '#mesh/async/clock.ts';
import { LogDestination, type LogReport, type LogSink } from './log-destination.ts';
import { LogFile } from './log-file.ts';
import { openStdout } from './stdout-sink.ts';

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

/** A process that ends waits this long for the readers of its last lines. */
const LAST_LINES_MS = 200;

/** Where the lines of a log go. */
const destinations = new WeakMap<Log, readonly LogDestination[]>();

/**
 * Opens the process's log: `[INFO] message` for people, JSON lines for machines. Refuses a path that
 * cannot be a log; what becomes of a destination later neither throws nor blocks.
 */
export function createLog(options: LogOptions): Log {
  const open = (name: string, title: string, sink: LogSink) =>
    new LogDestination(name, sink, { clock: backgroundClock, report: reportTo(() => log, title) });
  const file = options.path === undefined ? undefined : new LogFile(options.path);
  const stdout = open('stdout', 'standard output', openStdout());
  const opened = [stdout, ...(file ? [open('file', `log-path ${options.path}`, file)] : [])];
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && isatty(1));
  const log: Log = pino(
    { level: options.level, base: { role: options.role }, redact: REDACT },
    pino.multistream(
      opened.map((one) => ({
        level: options.level,
        stream: one === stdout && isPretty ? prettied(one) : one,
      })),
    ),
  );
  destinations.set(log, opened);
  process.on('exit', () => {
    for (const one of opened) one.flush(LAST_LINES_MS, sleep);
  });
  return log;
}

/** The destinations of a log that `createLog` opened; any other log has none. */
export function destinationsOf(log: Log): readonly LogDestination[] {
  return destinations.get(log) ?? [];
}

/**
 * Logs what is reported of one destination to both; the one in trouble gets it once it is well
 * again.
 */
function reportTo(log: () => Log, title: string): LogReport {
  return {
    onTrouble: (why) => {
      const limit = 'its lines wait, and are dropped when too many do';
      log().error(`${title} cannot be written (${why}); ${limit}`);
    },
    onRecovery: (numDropped) => {
      log().error(`${title} is written again; ${numDropped} lines were dropped`);
    },
  };
}

function prettied(destination: LogDestination): pino.DestinationStream {
  const format = prettyFactory({
    colorize: isatty(1),
    ignore: 'level,time,pid,hostname,role',
    messageFormat: '[{levelLabel}] {msg}',
    customLevels: 'TRACE:10,DEBUG:20,INFO:30,WARN:40,ERROR:50',
    singleLine: true,
  });
  return { write: (line) => destination.write(format(line)) };
}

/** Stops this thread: a process that ends has no other way to wait. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
