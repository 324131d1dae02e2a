import type { Clock } from '#mesh/async/clock.ts';

interface Timer {
  readonly atMs: number;
  /** Number of timers made before, so that those of one instant run in their order. */
  readonly order: number;
  action: () => void;
}

/** A clock for millions of timers, which are kept in a heap; time moves from one to the next. */
export class SimulatedClock implements Clock {
  #nowMs = 0;
  #numTimers = 0;
  /** A binary heap: no timer is due before the one at half of its place. */
  readonly #heap: Timer[] = [];

  now(): number {
    return this.#nowMs;
  }

  after(ms: number, action: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, order: this.#numTimers++, action };
    this.#push(timer);
    return () => {
      timer.action = () => {};
    };
  }

  /** Runs every timer that is due until then. */
  runUntil(endMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#dropFirst();
      this.#nowMs = next.atMs;
      next.action();
    }
    this.#nowMs = endMs;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    for (;;) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (at === 0 || parent === undefined || !isBefore(timer, parent)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = timer;
  }

  #dropFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const isRight = left !== undefined && right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (child === undefined || !isBefore(child, last)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
