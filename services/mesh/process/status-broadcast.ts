import type { Changes } from '#mesh/async/changes.ts';
import type { Clock } from '#mesh/async/clock.ts';
import { type InstanceLoad, WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import { LOOK_INTERVAL_MS, ReportTurns, type Told } from './report-turns.ts';
import { StatusWatcher } from './status-watcher.ts';

/** The state that watchers follow. */
export interface BroadcastStatus {
  readonly changes: Changes;
  readonly load: InstanceLoad;
  message(): WatchResponse;
}

/**
 * Tells watchers of every change of the facts at once, of the load at the next look when it is their
 * turn, and once a second that the process lives.
 */
export class StatusBroadcast {
  readonly #status: BroadcastStatus;
  readonly #clock: Clock;
  readonly #turns = new ReportTurns<StatusWatcher>();
  #loadText = '';
  /** Number of changes of the load that were seen. */
  #numLoads = 0;
  #callOff = () => {};

  constructor(status: BroadcastStatus, clock: Clock) {
    this.#status = status;
    this.#clock = clock;
    status.changes.listen(() => this.#tellAll());
  }

  /** Yields the messages for one watcher; `signal` ends them. */
  watch(signal: AbortSignal): AsyncIterable<WatchResponse> {
    const watcher = new StatusWatcher(() => this.#leave(watcher));
    signal.addEventListener('abort', () => watcher.end(), { once: true });
    if (this.#turns.size === 0) this.#look();
    const message = this.#status.message();
    this.#tell(watcher, message, this.#toldBy(message));
    if (signal.aborted) watcher.end();
    return watcher;
  }

  #leave(watcher: StatusWatcher): void {
    this.#turns.leave(watcher);
    if (this.#turns.size === 0) this.#callOff();
  }

  #tellAll(): void {
    if (this.#turns.size === 0) return;
    const message = this.#status.message();
    const told = this.#toldBy(message);
    for (const watcher of this.#turns.followers) this.#tell(watcher, message, told);
  }

  #tell(watcher: StatusWatcher, message: WatchResponse, told: Told): void {
    watcher.tell(message, told);
    this.#turns.noteTold(watcher);
  }

  #toldBy({ load }: WatchResponse): Told {
    const work = load?.numOutstandingTokens ?? 0;
    return { atMs: this.#clock.now(), numLoads: this.#numLoads, work };
  }

  /** Tells those of the load whose turn it is. */
  #look(): void {
    this.#callOff = this.#clock.after(LOOK_INTERVAL_MS, () => this.#look());
    const { load } = this.#status;
    const text = JSON.stringify(load);
    if (text !== this.#loadText) this.#numLoads += 1;
    this.#loadText = text;
    const message = WatchResponse.create({ load, loadOnly: true });
    const told = this.#toldBy(message);
    for (const watcher of this.#turns.due(told)) this.#tell(watcher, message, told);
  }
}
