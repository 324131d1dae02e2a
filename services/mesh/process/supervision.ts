import type { Member } from '#mesh/peers/membership.ts';

/** Content that was in the native step of processes that crashed. */
export interface Suspect {
  readonly key: string;
  readonly numDeaths: number;
}

/** Message of a supervisor to a process that it started, over the IPC channel. */
export type ToProcess =
  /**
   * Drain and end, within this many milliseconds if the whole mesh ends. A second one ends what
   * still runs.
   */
  | { readonly kind: 'drain'; readonly limitMs?: number }
  /** The file of the log was renamed: go on in a new one. */
  | { readonly kind: 'reopen log' }
  /** Answer with `alive`. */
  | { readonly kind: 'ping' }
  /** All suspects of the process's role. */
  | { readonly kind: 'suspects'; readonly suspects: readonly Suspect[] }
  /** All members of a role. */
  | { readonly kind: 'members'; readonly role: string; readonly members: readonly Member[] };

/** Message of a process to its supervisor. */
export type ToSupervisor =
  /** The process has received a signal. */
  | { readonly kind: 'signalled' }
  /** The process has started and does its work from here on. */
  | { readonly kind: 'started' }
  | { readonly kind: 'alive' }
  /** The process serves a page of its metrics at `host:port`. */
  | { readonly kind: 'shows metrics'; readonly address: string }
  /** How far its start has come, in words: "loading 43 %". */
  | { readonly kind: 'starting'; readonly progress: string }
  /** The process keeps a quarantine and wants to be told all suspects. */
  | { readonly kind: 'asks suspects' }
  /** The process follows the members of a role and wants to be told them, and every change. */
  | { readonly kind: 'asks members'; readonly role: string }
  /** A suspect has gone through a step. */
  | { readonly kind: 'cleared'; readonly key: string };

/** Set in the environment of every process the supervisor starts, to the name of the process. */
export const SUPERVISED = 'AUTOGLM_SUPERVISED';

/** Set in it to the names of the roles, comma separated, whose members the supervisor tells. */
export const FOLLOWED_ROLES = 'AUTOGLM_FOLLOWED_ROLES';

/** Set in it if the supervisor reads a journal of the steps. */
export const JOURNALLED = 'AUTOGLM_JOURNAL';

/**
 * Names a process by its number among those of its role, from 1: the first has the role's name, the
 * others have their number behind it, as in `llm-backbone-2`.
 */
export function processName(role: string, number: number): string {
  return number === 1 ? role : `${role}-${number}`;
}

/** Returns the name that the supervisor gave this process; its role if there is none. */
export function ownName(role: string): string {
  return process.env[SUPERVISED] ?? role;
}

/** Returns the roles whose members the supervisor tells this process. */
export function followedRoles(): readonly string[] {
  return process.env[FOLLOWED_ROLES]?.split(',') ?? [];
}

/** Tells whether a supervisor started this process. */
export function isSupervised(): boolean {
  return process.env[SUPERVISED] !== undefined;
}

/** Sends a message to the supervisor; does nothing if there is none. */
export function tellSupervisor(message: ToSupervisor): void {
  if (isSupervised() && process.connected) process.send?.(message);
}

/** Calls `onMessage` for every message of the supervisor. */
export function onSupervisor(onMessage: (message: ToProcess) => void): void {
  if (!isSupervised()) return;
  // Only the supervisor holds the other end of the channel.
  process.on('message', (message: ToProcess) => onMessage(message));
}

/**
 * Answers the supervisor's pings from the event loop: a process that is stopped, or whose loop is
 * blocked, falls silent. Native work runs on other threads and delays no answer.
 */
export function answerPings(): void {
  onSupervisor(({ kind }) => {
    if (kind === 'ping') tellSupervisor({ kind: 'alive' });
  });
}
