import { type Place, rankOf } from './rendezvous.ts';

/** Most work of a replica that affinity may give it, as a multiple of the mean. */
export const MAX_AFFINITY_LOAD = 1.25;

/**
 * Requests that others may send to a replica from one of its reports to the next before it counts as
 * crowded, if they also are more than affinity may give it.
 */
const CROWD = 8;

/** The facts about a replica that decide whether it is picked. */
export interface Candidate extends Place {
  /**
   * Work inside it, in tokens, the part of it that this process has sent, and the most that others
   * have added from one report to the next.
   */
  readonly work: { readonly total: number; readonly own: number; readonly surge: number };
}

export interface PickWish {
  /** Work of the request, in tokens, more than 0. */
  readonly work: number;
  /** Hash of what its cached prefix depends on; undefined: nothing is gained anywhere. */
  readonly affinity?: number | undefined;
  /** A number that grows by one with each request, so that equal replicas take turns. */
  readonly turn: number;
  /** Returns a random number in [0, 1). */
  readonly random: () => number;
}

/**
 * Picks the replica that a request's prefix prefers, unless it has too much work for that, otherwise
 * the one with least work for its weight. Undefined if there is none.
 *
 * Preference is rendezvous hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam,
 * "Consistent hashing with bounded loads", 2016). Least work is looked for among as large a part of
 * the replicas as this process's share of their work, two at least: a process alone finds the
 * minimum, and of many with equally old loads none follows the others (Mitzenmacher, "The power of
 * two choices", 2001).
 *
 * A prefix that many processes ask for at once would overfill its replica before the next report,
 * then the one that is preferred next. So a crowded replica is preferred only with the chance that
 * fills it up to the bound, and no other takes its place.
 */
export function pickLeastWork<C extends Candidate>(
  candidates: readonly C[],
  wish: PickWish,
): C | undefined {
  if (candidates.length < 2) return candidates[0];
  let total = 0;
  let own = 0;
  let weights = 0;
  for (const { work, member } of candidates) {
    total += work.total;
    own += work.own;
    weights += member.weight;
  }
  const bound = (MAX_AFFINITY_LOAD * (total + wish.work)) / weights;
  const share = total === 0 ? 1 : own / total;
  const numLooks = Math.max(2, Math.ceil(candidates.length * share));
  return (
    preferred(candidates, wish, bound) ??
    (numLooks >= candidates.length
      ? leastOfAll(candidates, wish.turn)
      : leastOfSome(candidates, numLooks, wish.random))
  );
}

/**
 * Returns the replica that the affinity ranks first among those within the bound; undefined if a
 * crowded one is ranked before them and not taken.
 */
function preferred<C extends Candidate>(
  candidates: readonly C[],
  { affinity, work, random }: PickWish,
  bound: number,
): C | undefined {
  if (affinity === undefined) return undefined;
  let best: C | undefined;
  let bestRank = 0;
  let chance = 1;
  for (const one of candidates) {
    const { total, surge } = one.work;
    const most = bound * one.member.weight;
    const isCrowded = surge > most && surge > CROWD * work;
    if (total > 0 && total + work > most && !isCrowded) continue;
    const rank = rankOf(one, affinity);
    if (rank <= bestRank) continue;
    best = one;
    bestRank = rank;
    chance = isCrowded ? (most - total) / surge : 1;
  }
  return random() < chance ? best : undefined;
}

const loadOf = ({ work, member }: Candidate): number => work.total / member.weight;

function leastOfAll<C extends Candidate>(candidates: readonly C[], turn: number): C | undefined {
  let least = Infinity;
  let tied: C[] = [];
  for (const one of candidates) {
    const load = loadOf(one);
    if (load > least) continue;
    if (load < least) tied = [];
    least = load;
    tied.push(one);
  }
  return tied[turn % tied.length];
}

function leastOfSome<C extends Candidate>(
  candidates: readonly C[],
  numLooks: number,
  random: () => number,
): C | undefined {
  let best: C | undefined;
  for (let look = 0; look < numLooks; look++) {
    const one = candidates[Math.floor(random() * candidates.length)];
    if (one !== undefined && (best === undefined || loadOf(one) < loadOf(best))) best = one;
  }
  return best;
}
