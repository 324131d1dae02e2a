import { HEARTBEAT_INTERVAL_MS } from '#mesh/peers/heartbeat.ts';
import { isMisleading } from '#mesh/peers/peer-work.ts';

/** Time between two looks at the load, in milliseconds. */
export const LOOK_INTERVAL_MS = 100;

/**
 * Most messages about the load at one look that nothing hurries: a message takes 50 µs, so that all
 * take a twentieth of a core at most, and a thousand watchers get one a second each.
 */
const MESSAGES_PER_LOOK = 100;

/** Most messages at once to watchers that are misled, and how many more they may be each look. */
const MAX_HURRIED = 1000;
const HURRIED_PER_LOOK = 10;

/** Silence after which a watcher gets a heartbeat: it comes before it is overdue. */
const BEAT_AFTER_MS = HEARTBEAT_INTERVAL_MS - LOOK_INTERVAL_MS;

/** What a watcher was told last. */
export interface Told {
  readonly atMs: number;
  /** Number of loads that had been seen by then. */
  readonly numLoads: number;
  /** Work inside the process, tokens. */
  readonly work: number;
}

/** Somebody who follows a process's load. */
export interface Follower {
  readonly told: Told;
}

/**
 * Decides who is told of a process's load at each look. Those come first that were told longest ago.
 * If what they know is misleading, they hear it out of turn, within a budget: all of them would go on
 * to send their requests here.
 */
export class ReportTurns<F extends Follower> {
  /** In the order in which they were told. */
  readonly #followers = new Set<F>();
  #numHurried = MAX_HURRIED;

  get size(): number {
    return this.#followers.size;
  }

  get followers(): readonly F[] {
    return [...this.#followers];
  }

  /** Notes that somebody was told just before, of whatever; takes up who is not known. */
  noteTold(follower: F): void {
    this.#followers.delete(follower);
    this.#followers.add(follower);
  }

  leave(follower: F): void {
    this.#followers.delete(follower);
  }

  /** Returns who is to be told this. */
  due(load: Told): readonly F[] {
    this.#numHurried = Math.min(MAX_HURRIED, this.#numHurried + HURRIED_PER_LOOK);
    let numLeft = MESSAGES_PER_LOOK;
    const due: F[] = [];
    for (const follower of this.#followers) {
      const { told } = follower;
      const isTurn = numLeft > 0 && told.numLoads !== load.numLoads;
      const isSilent = told.atMs <= load.atMs - BEAT_AFTER_MS;
      const isMisled = isMisleading({ told: told.work, work: load.work });
      const isHurried = !isTurn && !isSilent && this.#numHurried > 0 && isMisled;
      if (!(isTurn || isSilent || isHurried)) continue;
      if (isHurried) this.#numHurried -= 1;
      else numLeft -= 1;
      due.push(follower);
    }
    return due;
  }
}
