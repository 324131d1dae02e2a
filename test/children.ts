import type { ChildProcess } from 'node:child_process';

const started = new Set<ChildProcess>();

/** Notes a process for `endChildren`. */
export function noted<T extends ChildProcess>(child: T): T {
  started.add(child);
  return child;
}

/**
 * For `afterEach`: kills what a failed test has left running, which would keep its file from ending,
 * and reads no more of what others of its processes may say.
 */
export function endChildren(): void {
  for (const child of started) {
    child.kill('SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
  started.clear();
}
