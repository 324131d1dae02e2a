import type { FaultRecord } from '#test/chaos/faults/fault-record.ts';
import type { JudgedExchange } from '#test/chaos/load/verdict.ts';
import type { InstanceRole } from '#test/chaos/mesh/instance.ts';
import type { Sighting } from '#test/chaos/mesh/sightings.ts';
import { longest, pausesOf, pausesWithin } from './pauses.ts';

/** A request with the places that it was seen at. */
export interface Story {
  readonly exchange: JudgedExchange;
  readonly sightings: readonly Sighting[];
}

/** What one fault did to the requests. */
export interface FaultEffect {
  readonly fault: FaultRecord;
  /**
   * Requests that its target held when it began, or got before it was over; of a registry, all that
   * ran meanwhile.
   */
  readonly touched: readonly Story[];
  /** Touched requests that went on elsewhere after their first token. */
  readonly numResumed: number;
  /** Touched requests that went elsewhere before it. */
  readonly numRetried: number;
  /** Longest time between two tokens of a touched stream, ms. */
  readonly worstGapMs: number;
  /** The stream with that time; undefined if no touched stream had two tokens. */
  readonly worst: Story | undefined;
  readonly failovers: readonly Failover[];
}

/** How a stream went on elsewhere. */
export interface Failover {
  /** Time from its last token before to its first after, ms. */
  readonly gapMs: number;
  /** Time from the beginning of the fault until another instance was asked to go on, ms. */
  readonly noticedMs: number;
}

export function effectOf(fault: FaultRecord, stories: readonly Story[]): FaultEffect {
  const touched = stories.filter((story) => isTouched(fault, story));
  const moves = touched.flatMap((story) => moveAfter(fault, story) ?? []);
  const gapsOf = ({ exchange }: Story) =>
    pausesWithin(pausesOf(exchange.tokenTimesMs), { fromMs: fault.beganMs, toMs: fault.endedMs });
  const worstGapMs = Math.max(0, ...touched.map((story) => longest(gapsOf(story))));
  return {
    fault,
    touched,
    numResumed: moves.filter(({ isResumed }) => isResumed).length,
    numRetried: moves.filter(({ isResumed }) => !isResumed).length,
    worstGapMs,
    worst: touched.find((story) => worstGapMs > 0 && longest(gapsOf(story)) === worstGapMs),
    failovers: moves.flatMap((move) => failoverOf(move, fault) ?? []),
  };
}

/**
 * Returns the fault that a spoilt request is put down to: the last that touched it, one of the
 * registry if there is no other, or else the last that had begun; undefined if none had.
 */
export function causeOf(story: Story, faults: readonly FaultRecord[]): FaultRecord | undefined {
  const begun = faults.filter(({ beganMs }) => beganMs <= story.exchange.endMs);
  const touching = begun.filter((fault) => isTouched(fault, story));
  return touching.findLast(({ role }) => role !== 'registry') ?? touching.at(-1) ?? begun.at(-1);
}

function isTouched(fault: FaultRecord, story: Story): boolean {
  const { sentMs, endMs } = story.exchange;
  if (fault.role === 'registry') return sentMs <= fault.endedMs && endMs >= fault.beganMs;
  if (isHeld(fault, story)) return true;
  return story.sightings.some(
    ({ instance, atMs }) =>
      instance === fault.target && atMs >= fault.beganMs && atMs <= fault.endedMs,
  );
}

/** Tells whether the target held the request when the fault began. */
function isHeld({ target, role, address, beganMs }: FaultRecord, story: Story): boolean {
  const { exchange, sightings } = story;
  if (exchange.sentMs > beganMs || exchange.endMs < beganMs) return false;
  if (role === 'gateway') return exchange.gateway === address;
  // An encoder is done with a request before its first token.
  const isEncoder = role !== 'llm-backbone';
  if (isEncoder && (exchange.tokenTimesMs[0] ?? beganMs) < beganMs) return false;
  const last = sightings.findLast((one) => isOf(role, one) && one.atMs <= beganMs);
  return last?.instance === target;
}

/** Returns what a begun stream suffered by a move; undefined if it was not begun, or got no token. */
function failoverOf({ atMs, story }: Move, { beganMs }: FaultRecord): Failover | undefined {
  const pauses = pausesOf(story.exchange.tokenTimesMs);
  const at = pauses.findIndex(({ fromMs, toMs }) => fromMs < atMs && toMs >= atMs);
  if (at === -1) return undefined;
  // A token from before the move may reach the client just after it.
  return { gapMs: longest(pauses.slice(at, at + 2)), noticedMs: atMs - beganMs };
}

/** A request's way from one instance to another. */
interface Move {
  readonly story: Story;
  readonly atMs: number;
  /** Whether it had a token by then. */
  readonly isResumed: boolean;
}

/** Returns how a request first left the target for another instance after a fault had begun. */
function moveAfter({ target, role, beganMs }: FaultRecord, story: Story): Move | undefined {
  const own = story.sightings.filter((one) => isOf(role, one));
  const move = own.find(
    ({ instance, atMs }, index) =>
      atMs > beganMs && instance !== target && own[index - 1]?.instance === target,
  );
  if (move === undefined) return undefined;
  const { atMs } = move;
  return { story, atMs, isResumed: (story.exchange.tokenTimesMs[0] ?? atMs) < atMs };
}

function isOf(role: InstanceRole, { instance }: Sighting): boolean {
  return instance.startsWith(`${role}-`);
}
