import { dirname, join } from 'node:path';
import { isatty } from 'node:tty';
import { pino } from 'pino';
import { backgroundClock } from '#mesh/async/clock.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { LogDestination, type LogReport, type LogSink } from './log-destination.ts';
import { LogFile } from './log-file.ts';
import { prettyLine, wantsColour } from './pretty-line.ts';
import { redact } from './redaction.ts';
import { openStdout } from './stdout-sink.ts';

export type Log = pino.Logger;

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  /** Which process speaks: "gateway", "llm-backbone", … */
  readonly role: string;
  /** Name of the process among those of its role, such as "llm-backbone-2"; unset: its role. */
  readonly process?: string;
  readonly level: LogLevel;
  /** `auto`: pretty on a terminal, JSON otherwise. */
  readonly format: 'auto' | 'pretty' | 'json';
  /** Also append JSON lines to this file. */
  readonly path?: string | undefined;
  /** Append them to a file beside it instead, named after the process. */
  readonly isIsolated?: boolean;
}

/** A process that ends waits this long for the readers of its last lines. */
const LAST_LINES_MS = 200;

/** Where the lines of a log go. */
const destinations = new WeakMap<Log, readonly LogDestination[]>();

/** The files of logs. */
const files = new WeakMap<Log, LogFile>();

/**
 * Opens the process's log: `12:34:56 gateway-2 [INFO] message` for people, JSON lines for machines.
 * Refuses a path that cannot be a log; what becomes of a destination later neither throws nor
 * blocks.
 */
export function createLog(options: LogOptions): Log {
  const { role, process: name = role } = options;
  const path = options.path && (options.isIsolated ? besides(options.path, name) : options.path);
  const open = (name: string, title: string, sink: LogSink) =>
    new LogDestination(name, sink, { clock: backgroundClock, report: reportTo(() => log, title) });
  const file = path === undefined ? undefined : new LogFile(path);
  const stdout = open('stdout', 'standard output', openStdout());
  const opened = [stdout, ...(file ? [open('file', `log-path ${path}`, file)] : [])];
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && isatty(1));
  const log: Log = pino(
    { level: options.level, base: { role, process: name }, formatters: { log: redact } },
    pino.multistream(
      opened.map((one) => ({
        level: options.level,
        stream: one === stdout && isPretty ? prettied(one) : one,
      })),
    ),
  );
  destinations.set(log, opened);
  if (file !== undefined) files.set(log, file);
  // Without a file there is nothing to do, but the signal would end the process.
  process.on('SIGUSR2', () => reopenLog(log));
  process.on('exit', () => {
    for (const one of opened) one.flush(LAST_LINES_MS, sleep);
  });
  return log;
}

/** Goes on in the file that has the log's path now: whoever rotates logs has renamed the old one. */
export function reopenLog(log: Log): void {
  try {
    files.get(log)?.reopen();
  } catch (error: unknown) {
    log.error(`the log file cannot be opened again, the old one is used: ${errorMessage(error)}`);
  }
}

/** Returns the path of a process's own file in the folder of a file. */
function besides(path: string, name: string): string {
  return join(dirname(path), `${name}.log`);
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
  const format = prettyLine(wantsColour(isatty(1), process.env));
  return { write: (line) => destination.write(format(line)) };
}

/** Stops this thread: a process that ends has no other way to wait. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
