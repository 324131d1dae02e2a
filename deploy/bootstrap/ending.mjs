// Ends a set-up, or a verb that runs a child, on a signal: the children end first, then this
// process by the same signal. A mesh that runs in this process handles the signals itself.
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { watchStarter } from './starter.mjs';

/** Functions that pass a signal on, one for each running child. */
const children = new Set();
let received;

/** The error for work that was broken off because this process was told to end. */
export class Interruption extends Error {
  constructor(signal) {
    super(`stopped by ${signal}`);
    this.signal = signal;
  }
}

/**
 * Listens for everything that ends this process. It all arrives as SIGINT or SIGTERM, even the end
 * of the npm that started the process and of its terminal. The first process of a container has to
 * listen: the kernel drops a signal for which such a process has no handler.
 */
export function listenForEnd() {
  const stopWatching = watchStarter(terminate);
  const onSignal = (signal) => {
    // npm and its group often get the same signal, so npm's own end must not count as a second one.
    stopWatching();
    received = received || signal;
    for (const pass of children) pass(signal);
    const isHandled = children.size > 0 || process.listenerCount(signal) > 1;
    if (!isHandled) endBy(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // Node cannot tell that nohup ignores SIGHUP, but nohup leaves no stream on the terminal.
  const hasTerminal = [0, 1, 2].some((fd) => isatty(fd));
  process.on('SIGHUP', () => {
    if (hasTerminal) terminate();
  });
}

function terminate() {
  process.kill(process.pid, 'SIGTERM');
}

/**
 * Resolves to how a child ended, once all its streams are closed; until then `pass` gets the
 * signals of this process. Rejects with an Interruption if the child ended because of one.
 */
export async function outcome(child, pass) {
  children.add(pass);
  try {
    const [code, signal] = await closed(child);
    // A child that ends with a clean status has handled the signal itself.
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

/** Throws if this process was told to end. */
export function throwIfEnding() {
  if (received !== undefined) throw new Interruption(received);
}

/** Ends this process just as the signal itself would. */
export function endBy(signal) {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // The first process of a container survives that signal, so it exits by itself.
  process.exit(128 + constants.signals[signal]);
}
