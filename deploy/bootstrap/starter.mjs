// Notices that the npm or npx that started this process has ended without passing a signal on: it
// was killed, or the shell between took the signal. Linux tells through /proc; elsewhere only the
// parent is watched.
import { readFileSync, readlinkSync } from 'node:fs';

const POLL_MS = 500;

/**
 * Calls `onGone` once npm, or a shell between it and this process, has ended. Started without npm,
 * this process outlives whoever started it, and nothing is watched. Returns what ends the watch.
 */
export function watchStarter(onGone, env = process.env) {
  const chain = starters(env);
  if (chain.length === 0) return () => {};
  const timer = setInterval(() => {
    if (isIntact(chain)) return;
    clearInterval(timer);
    onGone();
  }, POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * Ids from the parent up to the npm that started this process; npm runs on the Node it names in the
 * environment. None when npm is not above: its variables then came by a terminal it once started.
 */
export function starters(env) {
  if (env.npm_lifecycle_event === undefined) return [];
  if (process.platform !== 'linux') return [process.ppid];
  const chain = [];
  for (let pid = process.ppid; pid > 0; pid = parentOf(pid)) {
    chain.push(pid);
    if (executableOf(pid) === env.npm_node_execpath) return chain;
  }
  return [];
}

/** True while everybody in the chain is still the child of the next: an orphan gets another parent. */
function isIntact(chain) {
  return chain.every((pid, i) => (i === 0 ? process.ppid : parentOf(chain[i - 1])) === pid);
}

/** Id of a process's parent; 0 when there is none or the process is gone. */
function parentOf(pid) {
  try {
    // `pid (name) state ppid ...`; the name may hold parentheses and spaces.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

function executableOf(pid) {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}
