// How a set-up, or a verb that runs a child, ends when it is told to: the children end first, then
// this process by the same signal. A mesh that runs in this process listens for itself.
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { watchStarter } from './starter.mjs';

/** Functions that pass a signal on, one a running child. */
const children = new Set();
let received;

/** Work that was broken off because this process was told to end. */
export class Interruption extends Error {
  constructor(signal) {
    super(`stopped by ${signal}`);
    this.signal = signal;
  }
}

/**
 * Listens for what ends this process. All of it arrives as SIGINT or SIGTERM, the end of the npm that
 * started it and of its terminal too. As a container's first process it has no default to rely on:
 * the kernel drops a signal that such a process does not listen for.
 */
export function listenForEnd() {
  const stopWatching = watchStarter(terminate);
  const onSignal = (signal) => {
    // npm and its group often get the same signal: its end is then no further reason.
    stopWatching();
    received = received || signal;
    for (const pass of children) pass(signal);
    const isHandled = children.size > 0 || process.listenerCount(signal) > 1;
    if (!isHandled) endBy(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // Node cannot tell that nohup has SIGHUP ignored, but nohup leaves no stream on the terminal.
  const hasTerminal = [0, 1, 2].some((fd) => isatty(fd));
  process.on('SIGHUP', () => {
    if (hasTerminal) terminate();
  });
}

function terminate() {
  process.kill(process.pid, 'SIGTERM');
}

/**
 * Resolves to how a child ended once nobody holds its streams any more; until then `pass` gets the
 * signals of this process. Rejects with an Interruption when the child ended because of one.
 */
export async function outcome(child, pass) {
  children.add(pass);
  try {
    const [code, signal] = await closed(child);
    // A child that ends by itself with a clean status has handled the signal.
    if (received !== undefined && code !== 0) throw new Interruption(received);
    return { code, signal };
  } finally {
    children.delete(pass);
  }
}

function closed(child) {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve([code, signal]));
  });
}

/** Throws once this process was told to end. */
export function throwIfEnding() {
  if (received !== undefined) throw new Interruption(received);
}

/** Ends this process as the signal by itself would. */
export function endBy(signal) {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // The first process of a container survives that.
  process.exit(128 + constants.signals[signal]);
}
