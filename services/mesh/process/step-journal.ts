import { readSync, writeSync } from 'node:fs';

/** Most bytes of a journal: the keys of a thousand sequences. */
const MAX_JOURNAL_BYTES = 65_536;

/** What ends the list of keys: an empty line. */
const END = '\n\n';

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

  /**
   * Replaces the keys; costs nothing if they are the same. Where they cannot be kept nothing is
   * suspected after a crash, but the step runs.
   */
  write(keys: readonly string[]): void {
    const text = `${keys.join('\n')}${END}`;
    if (text === this.#written) return;
    const isWritten = text.length <= MAX_JOURNAL_BYTES && tryWrite(this.#fd, text);
    this.#written = isWritten ? text : '';
    // What is there was in an earlier step.
    if (!isWritten) clearJournal(this.#fd);
  }
}

/** Takes the space of a journal, which later nobody else can have; false if there is not enough. */
export function reserveJournal(fd: number): boolean {
  return tryWrite(fd, '\n'.repeat(MAX_JOURNAL_BYTES));
}

/** Reads the keys that the last writer left. */
export function readJournal(fd: number): string[] {
  const bytes = Buffer.alloc(MAX_JOURNAL_BYTES);
  const [text = ''] = bytes.toString('latin1', 0, readSync(fd, bytes, { position: 0 })).split(END);
  return text.split('\n').filter((key) => key !== '');
}

/** Empties a journal for its next writer; it keeps its space. */
export function clearJournal(fd: number): void {
  tryWrite(fd, END);
}

/** Writes text at the beginning of a file; false if not all of it was written. */
function tryWrite(fd: number, text: string): boolean {
  try {
    return writeSync(fd, text, 0) === text.length;
  } catch {
    return false;
  }
}
