// Notices that the npm or npx that started this process has ended without passing a signal on: it
// was killed, or the shell in between took the signal. Linux shows this through /proc; on other
// systems only the parent is watched.
import { readFileSync, readlinkSync } from 'node:fs';

const POLL_MS = 500;

/**
 * Calls `onGone` once npm, or a shell between it and this process, has ended. A process that npm
 * did not start outlives its starter, so nothing is watched. Returns a function that ends the
 * watch.
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
 * Returns the ids from the parent up to the npm that started this process; npm runs on the Node
 * that it names in the environment. The list is empty if no ancestor is npm: its variables then
 * came from a terminal that it once started.
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

/**
 * Tells whether each process of the chain is still the parent of the previous one; an orphan gets
 * another parent.
 */
function isIntact(chain) {
  return chain.every((pid, i) => (i === 0 ? process.ppid : parentOf(chain[i - 1])) === pid);
}

/** Returns the id of a process's parent; 0 if there is none or the process is gone. */
function parentOf(pid) {
  try {
    // The file holds `pid (name) state ppid ...`; the name may contain parentheses and spaces.
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
