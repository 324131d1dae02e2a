import { randomUUID } from 'node:crypto';
import { closeSync, openSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clearJournal, readJournal, reserveJournal } from '#mesh/process/step-journal.ts';

/** Folders for the file; the first is in memory. */
const FOLDERS = ['/dev/shm', tmpdir()];

/**
 * A file without a name, for the journals of one process after the other; it ends with this process.
 */
export class JournalFile {
  /** Undefined if no folder has space for it, and nothing is kept. */
  readonly fd = openUnnamed();

  /** Returns what the last process had in its step, and empties the file for the next. */
  take(): string[] {
    if (this.fd === undefined) return [];
    const keys = readJournal(this.fd);
    clearJournal(this.fd);
    return keys;
  }
}

function openUnnamed(): number | undefined {
  for (const folder of FOLDERS) {
    try {
      const path = join(folder, `autoglm-journal-${randomUUID()}`);
      const fd = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
      if (reserveJournal(fd)) return fd;
      closeSync(fd);
    } catch {
      // The next folder may do.
    }
  }
  return undefined;
}
