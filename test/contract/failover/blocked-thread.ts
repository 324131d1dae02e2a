import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Returns the path of the pipe on which the process that listens at an address blocks. */
function pipeOf(listen: string): string {
  return join(tmpdir(), `autoglm-blocked-${listen.replace(':', '-')}`);
}

/** Lets the next native step of the process that listens at an address never end. */
export function block(listen: string): void {
  execFileSync('mkfifo', [pipeOf(listen)]);
}

/** Lets the steps of later processes at the address end. */
export async function unblock(listen: string): Promise<void> {
  await rm(pipeOf(listen), { force: true });
}

/**
 * Resolves at once unless the process is to block; then a native thread waits for a writer that never
 * comes, and like one inside a step it keeps the process from exiting.
 */
export async function passUnlessBlocked(listen: string): Promise<void> {
  const pipe = pipeOf(listen);
  if (existsSync(pipe)) await readFile(pipe);
}
