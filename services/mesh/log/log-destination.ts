import type { Clock } from '#mesh/async/clock.ts';

/** Lines that wait for a destination, bytes; beyond it lines are dropped. */
export const MAX_QUEUED_BYTES = 1024 * 1024;

/**
 * Several lines go out in one write up to this size: the kernel puts that much into a pipe whole or
 * not at all (PIPE_BUF), so that the lines of processes that share one do not mix.
 */
const MAX_BATCH_BYTES = 4096;

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 500;

const NEWLINE = Buffer.from('\n');

/** Where bytes go, as a file descriptor takes them. */
export interface LogSink {
  /**
   * Whether a line that was taken in part can be continued. A pipe or a terminal has room for the
   * rest in a moment; a full disk has not, and other processes append to the same file meanwhile.
   */
  readonly continuesLines: boolean;
  /** Returns how many bytes were taken; throws as write(2) fails. EAGAIN: none at this moment. */
  write(bytes: Uint8Array): number;
}

/** What a destination says of itself; once for each time of trouble. */
export interface LogReport {
  /** Lines cannot be written, for this reason. */
  onTrouble(why: string): void;
  /** Lines can be written again; `numDropped` of them are lost. */
  onRecovery(numDropped: number): void;
}

/**
 * One place a log goes to. A line is written at once if that is possible; what cannot be written
 * waits in a bounded queue and is tried again, and neither an error nor a reader that stands still
 * reaches whoever logs. The sink must not block.
 */
export class LogDestination {
  readonly name: string;
  /** Lines that no reader will see. */
  numDropped = 0;
  /** Writes that failed. */
  numErrors = 0;
  readonly #sink: LogSink;
  readonly #clock: Clock;
  readonly #report: LogReport;
  /** Whole lines; of the first one `#numTaken` bytes are out. */
  readonly #lines: Buffer[] = [];
  #numTaken = 0;
  #numQueuedBytes = 0;
  /** The sink's last line is a fragment that will not be continued. */
  #isTorn = false;
  #isDraining = false;
  #callOffRetry: (() => void) | undefined;
  #retryMs = FIRST_RETRY_MS;
  /** While in trouble: `numDropped` when it began. */
  #numDroppedBefore: number | undefined;
  /** A write has failed in this time of trouble. */
  #hasFailed = false;

  constructor(name: string, sink: LogSink, { clock, report }: { clock: Clock; report: LogReport }) {
    this.name = name;
    this.#sink = sink;
    this.#clock = clock;
    this.#report = report;
  }

  /** Takes one line with its newline. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    const isFull = this.#numQueuedBytes + bytes.length > MAX_QUEUED_BYTES;
    if (isFull && this.#lines.length > 0) {
      this.numDropped++;
      this.#beginTrouble('nothing reads it', 1);
      return;
    }
    this.#lines.push(bytes);
    this.#numQueuedBytes += bytes.length;
    if (this.#callOffRetry === undefined) this.#drain();
  }

  /** Writes what waits, for at most `limitMs`: the last act of a process, in which no timer runs. */
  flush(limitMs: number, sleep: (ms: number) => void): void {
    this.#callOffRetry?.();
    const endMs = this.#clock.now() + limitMs;
    while (this.#drain() === 'full' && this.#clock.now() < endMs) sleep(FIRST_RETRY_MS);
    this.#callOffRetry?.();
    this.#callOffRetry = undefined;
  }

  /** Writes until the queue is empty or the sink takes no more, and then tries again later. */
  #drain(): 'empty' | 'full' | 'failed' {
    // What a report logs joins the queue that is being drained.
    if (this.#isDraining) return 'full';
    this.#isDraining = true;
    try {
      while (this.#lines.length > 0) {
        const batch = this.#nextBatch();
        const numBytes = this.#sink.write(batch);
        if (numBytes === 0) return this.#retryLater('full');
        this.#took(numBytes);
        this.#retryMs = FIRST_RETRY_MS;
        if (this.#isOutOfTrouble()) this.#endTrouble();
      }
      return 'empty';
    } catch (error: unknown) {
      const { code, message } = systemError(error);
      if (code === 'EAGAIN') return this.#retryLater('full');
      this.#onError(message);
      return 'failed';
    } finally {
      this.#isDraining = false;
    }
  }

  #nextBatch(): Buffer {
    const batch: Buffer[] = this.#isTorn ? [NEWLINE] : [];
    let numBytes = 0;
    for (const line of this.#lines) {
      numBytes += line.length;
      if (numBytes > MAX_BATCH_BYTES && numBytes > line.length) break;
      batch.push(numBytes === line.length ? line.subarray(this.#numTaken) : line);
    }
    return Buffer.concat(batch);
  }

  /** Removes from the queue what a write of the next batch has taken. */
  #took(numBytes: number): void {
    let rest = numBytes;
    if (this.#isTorn) {
      this.#isTorn = false;
      rest--;
    }
    while (rest > 0) {
      const length = this.#lines[0]?.length ?? 0;
      const remaining = length - this.#numTaken;
      if (rest < remaining) {
        if (this.#sink.continuesLines) this.#numTaken += rest;
        else this.#isTorn = true;
        return;
      }
      this.#lines.shift();
      this.#numQueuedBytes -= length;
      this.#numTaken = 0;
      rest -= remaining;
    }
  }

  #onError(message: string): void {
    this.numErrors++;
    this.#hasFailed = true;
    if (this.#numTaken > 0) this.#isTorn = true;
    this.#numTaken = 0;
    this.#retryLater('failed');
    this.#beginTrouble(message);
  }

  #retryLater<Outcome>(outcome: Outcome): Outcome {
    this.#callOffRetry?.();
    this.#callOffRetry = this.#clock.after(this.#retryMs, () => {
      this.#callOffRetry = undefined;
      this.#drain();
    });
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS);
    return outcome;
  }

  /** A slow reader may never see the end of the queue; a disk must take all of it. */
  #isOutOfTrouble(): boolean {
    if (this.#lines.length === 0) return true;
    return !this.#hasFailed && this.#numQueuedBytes <= MAX_QUEUED_BYTES / 2;
  }

  #beginTrouble(why: string, numJustDropped = 0): void {
    if (this.#numDroppedBefore !== undefined) return;
    this.#numDroppedBefore = this.numDropped - numJustDropped;
    this.#report.onTrouble(why);
  }

  #endTrouble(): void {
    if (this.#numDroppedBefore === undefined) return;
    const numDropped = this.numDropped - this.#numDroppedBefore;
    this.#numDroppedBefore = undefined;
    this.#hasFailed = false;
    this.#report.onRecovery(numDropped);
  }
}

function systemError(error: unknown): { readonly code: unknown; readonly message: string } {
  if (!(error instanceof Error)) throw error;
  return { code: 'code' in error ? error.code : undefined, message: error.message };
}
