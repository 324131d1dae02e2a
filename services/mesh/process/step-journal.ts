import { ftruncateSync, readSync, writeSync } from 'node:fs';

/** Most bytes of a journal: the keys of a thousand sequences. */
const MAX_JOURNAL_BYTES = 65_536;

/**
 * The keys of the content that a process has in its native step, kept in a file that outlives it.
 * They are written before the step, in one call and without waiting for the disk: what has been
 * written is seen by other processes however the writer dies. An empty line ends the list.
 */
export class StepJournal {
  readonly #fd: number;
  #written = '';

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Replaces the keys; costs nothing if they are the same. */
  write(keys: readonly string[]): void {
    const text = `${keys.join('\n')}\n\n`;
    if (text === this.#written || text.length > MAX_JOURNAL_BYTES) return;
    writeSync(this.#fd, text, 0);
    this.#written = text;
  }
}

/** Reads the keys that the last writer left. */
export function readJournal(fd: number): string[] {
  const bytes = Buffer.alloc(MAX_JOURNAL_BYTES);
  const [text = ''] = bytes
    .toString('latin1', 0, readSync(fd, bytes, { position: 0 }))
    .split('\n\n');
  return text.split('\n').filter((key) => key !== '');
}

/** Empties a journal for its next writer. */
export function clearJournal(fd: number): void {
  ftruncateSync(fd);
}
