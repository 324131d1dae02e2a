import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import type { LogSink } from './log-destination.ts';

const { O_NOCTTY, O_NONBLOCK, O_WRONLY } = constants;

/** Standard output without ever waiting for whoever reads it. */
export function openStdout(): LogSink {
  const stat = fstatSync(1);
  if (stat.isFile()) return { continuesLines: false, write: (bytes) => writeSync(1, bytes) };
  const isReopenable = stat.isFIFO() || stat.isCharacterDevice();
  const own = isReopenable ? reopenStdout() : undefined;
  return own === undefined ? sharedStdout() : sinkOf(own);
}

function sinkOf(fd: number): LogSink {
  return { continuesLines: true, write: (bytes) => writeSync(fd, bytes) };
}

/**
 * A pipe or a terminal is opened once more: an open file description of our own can be non-blocking
 * without being so for the shell and everybody else who has inherited it. Undefined if it belongs
 * to another user, or is a pipe whose reader has gone already.
 */
function reopenStdout(): number | undefined {
  try {
    return openSync('/proc/self/fd/1', O_WRONLY | O_NONBLOCK | O_NOCTTY);
  } catch {
    return undefined;
  }
}

/**
 * A socket (systemd's journal, a parent that is a Node process) cannot be opened again, and its one
 * description is shared: Node makes it blocking for every child it starts and puts it back whenever
 * one ends. So each write asks for non-blocking mode anew.
 */
function sharedStdout(): LogSink {
  const handle: unknown = Reflect.get(process.stdout, '_handle');
  if (!hasBlockingMode(handle)) return sinkOf(1);
  return {
    continuesLines: true,
    write: (bytes) => {
      handle.setBlocking(false);
      return writeSync(1, bytes);
    },
  };
}

interface StreamHandle {
  setBlocking(isBlocking: boolean): number;
}

/** What Node keeps below a stream has no type; programs have set its mode for a decade. */
function hasBlockingMode(handle: unknown): handle is StreamHandle {
  if (typeof handle !== 'object' || handle === null) return false;
  return 'setBlocking' in handle && typeof handle.setBlocking === 'function';
}
