import type { RequestRecord } from './request-record.ts';

export interface HistoryLimits {
  /** Most requests that are remembered when they have ended. */
  readonly maxEnded: number;
  readonly maxBytes: number;
}

/** Which requests are asked for. */
export interface HistoryQuery {
  readonly limit: number;
  /** Their id; undefined: any. */
  readonly id?: string | undefined;
}

/** The last requests: those that run, and as many that have ended as there is room for. */
export class RequestHistory {
  readonly #limits: HistoryLimits;
  readonly #running = new Set<RequestRecord>();
  /** In order of their ends, which is the order in which they are forgotten. */
  readonly #ended = new Set<RequestRecord>();
  #numBytes = 0;

  constructor(limits: HistoryLimits) {
    this.#limits = limits;
  }

  get numEnded(): number {
    return this.#ended.size;
  }

  get numBytes(): number {
    return this.#numBytes;
  }

  begin(record: RequestRecord): void {
    this.#running.add(record);
  }

  /** Remembers a request that has ended, and forgets the oldest ones for it. */
  end(record: RequestRecord): void {
    if (!this.#running.delete(record)) return;
    this.#ended.add(record);
    this.#numBytes += record.numBytes;
    const { maxEnded, maxBytes } = this.#limits;
    for (const oldest of this.#ended) {
      if (this.#ended.size <= maxEnded && this.#numBytes <= maxBytes) break;
      this.#ended.delete(oldest);
      this.#numBytes -= oldest.numBytes;
    }
  }

  /** Returns requests, newest first by their arrival. */
  find({ limit, id }: HistoryQuery): RequestRecord[] {
    const all = [...this.#running, ...this.#ended];
    const wanted = id === undefined ? all : all.filter((one) => one.id === id);
    return wanted.sort((a, b) => b.begun.startMs - a.begun.startMs).slice(0, limit);
  }
}
