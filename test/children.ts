import type { ChildProcess } from 'node:child_process';

const started = new Set<ChildProcess>();

/** Notes a process so that `endChildren` ends it. */
export function noted<T extends ChildProcess>(child: T): T {
  started.add(child);
  return child;
}

/**
 * Kills the processes that a failed test has left running, which would keep its test file from
 * ending, and stops reading the output of the others. It is for `afterEach`.
 */
export function endChildren(): void {
  for (const child of started) {
    child.kill('SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
  started.clear();
}
