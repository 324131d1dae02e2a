import type { constants } from 'node:os';

/** Signals by which a process ends by its own fault, led astray by what it worked on. */
export const CRASH_SIGNALS: ReadonlySet<string> = new Set([
  'SIGSEGV',
  'SIGBUS',
  'SIGILL',
  'SIGFPE',
  'SIGABRT',
  'SIGTRAP',
] satisfies (keyof typeof constants.signals)[]);
