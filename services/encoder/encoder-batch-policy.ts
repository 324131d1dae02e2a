/** Limits on a batch of items that arrive together. */
export interface BatchLimits {
  readonly maxBatchSize: number;
  /** Most grid cells of a batch; an item with more of them has a batch of its own. */
  readonly maxCells: number;
  /** How long the first item of an idle tower waits for others, in milliseconds. */
  readonly windowMs: number;
}

/** The facts about a waiting item that decide with which others it is encoded. */
export interface WaitingItem {
  readonly client: string;
  readonly numCells: number;
  /** True if the item may have crashed a process, so that no other is to be with it. */
  readonly isSuspect: boolean;
}

export interface BatchState<Item extends WaitingItem> {
  /** Waiting items in order of arrival. */
  readonly waiting: readonly Item[];
  /** Returns the cells that count as encoded for a client. */
  readonly servedTo: (client: string) => number;
  /** Time at which the item that waits longest arrived, in milliseconds. */
  readonly oldestMs: number;
  /** True while a batch runs; the tower runs one at a time. */
  readonly isRunning: boolean;
}

export type BatchDecision<Item> =
  | { readonly kind: 'idle' }
  | { readonly kind: 'wait'; readonly untilMs: number }
  | { readonly kind: 'run'; readonly items: readonly Item[] };

/**
 * Decides whether waiting items start, and which of them: of the client that has been served least, its
 * oldest, until the batch is full. An item that waited while a batch ran does not wait again.
 */
export function decideBatch<Item extends WaitingItem>(
  state: BatchState<Item>,
  limits: BatchLimits,
  time: { readonly nowMs: number },
): BatchDecision<Item> {
  if (state.isRunning || state.waiting.length === 0) return { kind: 'idle' };
  const { items, isFull } = fillBatch(state, limits);
  const untilMs = state.oldestMs + limits.windowMs;
  if (!isFull && time.nowMs < untilMs) return { kind: 'wait', untilMs };
  return { kind: 'run', items };
}

/** The items of one client that wait, in order of arrival. */
interface Line<Item> {
  readonly items: Item[];
  numServed: number;
}

/**
 * Takes items while they fit; always takes the first, and nothing beside a suspect. A client whose next
 * item does not fit is passed over, so that what others have fills the batch, and has the next one.
 */
function fillBatch<Item extends WaitingItem>(
  { waiting, servedTo }: BatchState<Item>,
  { maxBatchSize, maxCells }: BatchLimits,
): { readonly items: readonly Item[]; readonly isFull: boolean } {
  const lines = linesOf(waiting, servedTo);
  const items: Item[] = [];
  let sumCells = 0;
  while (items.length < maxBatchSize && sumCells < maxCells) {
    const line = leastServed(lines);
    const item = line?.items.shift();
    if (line === undefined || item === undefined) {
      return { items, isFull: items.length < waiting.length };
    }
    const { numCells, isSuspect } = item;
    if (items.length > 0 && (isSuspect || sumCells + numCells > maxCells)) {
      lines.delete(item.client);
      continue;
    }
    items.push(item);
    if (isSuspect) break;
    sumCells += numCells;
    line.numServed += numCells;
    if (line.items.length === 0) lines.delete(item.client);
  }
  return { items, isFull: true };
}

function linesOf<Item extends WaitingItem>(
  waiting: readonly Item[],
  servedTo: (client: string) => number,
): Map<string, Line<Item>> {
  const lines = new Map<string, Line<Item>>();
  for (const item of waiting) {
    const line = lines.get(item.client);
    if (line !== undefined) line.items.push(item);
    else lines.set(item.client, { items: [item], numServed: servedTo(item.client) });
  }
  return lines;
}

/** Returns the line of the client served least; of several, the one that waits longest. */
function leastServed<Item>(lines: ReadonlyMap<string, Line<Item>>): Line<Item> | undefined {
  let least: Line<Item> | undefined;
  for (const line of lines.values()) {
    if (least === undefined || line.numServed < least.numServed) least = line;
  }
  return least;
}
