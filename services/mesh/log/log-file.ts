import { closeSync, constants, fstatSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isatty } from 'node:tty';
import { MeshError } from '#mesh/errors.ts';
import type { LogSink } from './log-destination.ts';

const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/** Errors of a disk that is full at this moment: no reason to refuse to start. */
const FULL_DISK: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT']);

/** The file that `log-path` names; several processes append to it, each its whole lines. */
export class LogFile implements LogSink {
  readonly continuesLines = false;
  readonly #path: string;
  #fd: number | undefined;

  /** Refuses, naming the key, what cannot be opened or is no place for a log. */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#fd = openForAppending(path);
    } catch (error: unknown) {
      if (!(error instanceof Error)) throw error;
      const code = 'code' in error ? error.code : undefined;
      if (FULL_DISK.has(code)) return;
      const why = code === 'ENXIO' ? `${path} is a pipe or a socket and not a file` : error.message;
      const message = `key "log-path": ${why}; name a file that can be appended to`;
      throw new MeshError('INVALID_REQUEST', message, { param: 'logPath', cause: error });
    }
  }

  /**
   * Goes on in the file that has the path now, after the old one was renamed; in the old one if that
   * cannot be opened.
   */
  reopen(): void {
    const fd = openForAppending(this.#path);
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = fd;
  }

  write(bytes: Uint8Array): number {
    this.#fd ??= openForAppending(this.#path);
    return writeSync(this.#fd, bytes);
  }
}

/**
 * Opens the file and creates it if it is missing; never waits, as opening a FIFO would for its
 * reader.
 */
function openForAppending(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY);
  try {
    requireLogPlace(path, fd);
  } catch (error: unknown) {
    closeSync(fd);
    throw error;
  }
  endLastLine(path, fd);
  return fd;
}

function requireLogPlace(path: string, fd: number): void {
  const stat = fstatSync(fd);
  if (!stat.isFile() && !stat.isCharacterDevice()) {
    const kind = stat.isFIFO() ? 'a pipe' : 'a block device';
    throw new Error(`${path} is ${kind} and not a file`);
  }
  const stdout = fstatSync(1);
  const isStdout = stat.ino === stdout.ino && stat.dev === stdout.dev;
  if (isStdout && (stat.isFile() || isatty(fd))) {
    throw new Error(`${path} is standard output, which gets every line without this key`);
  }
}

/** Tells whether the file ends within a line: a writer may have left half of one on a full disk. */
function endLastLine(path: string, fd: number): void {
  const { size } = fstatSync(fd);
  try {
    if (size > 0 && byteAt(path, size - 1) !== '\n') writeSync(fd, '\n');
  } catch {
    // A file that may be written but not read, or a disk that is still full.
  }
}

function byteAt(path: string, position: number): string {
  const fd = openSync(path, O_RDONLY | O_NONBLOCK);
  try {
    const byte = Buffer.alloc(1);
    readSync(fd, byte, { position });
    return byte.toString();
  } finally {
    closeSync(fd);
  }
}
