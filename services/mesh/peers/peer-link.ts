import { setTimeout as delay } from 'node:timers/promises';
import { type Channel, ClientError, Status } from 'nice-grpc';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition, type WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';

const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 1000;

/** Callbacks for events of a process. */
export interface PeerEvents {
  readonly onHealth: (isServing: boolean) => void;
  /** Called for every message; called once with undefined if the process does not serve Watch. */
  readonly onFacts: (facts: WatchResponse | undefined) => void;
  /** Called when the streams broke or were given up; others are begun. */
  readonly onBroken: (error: unknown) => void;
}

/** The health and the facts of a process, followed across its restarts. */
export class PeerLink {
  readonly #channel: Channel;
  readonly #events: PeerEvents;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  /** Aborts the streams that are open. */
  #streams = new AbortController();
  #backoffMs = MIN_BACKOFF_MS;

  constructor(channel: Channel, events: PeerEvents) {
    this.#channel = channel;
    this.#events = events;
    this.#running = this.#run();
  }

  /** Signal that aborts when the open streams end. */
  get signal(): AbortSignal {
    return this.#streams.signal;
  }

  /** Gives the streams up and begins others. */
  restart(why: unknown): void {
    this.#streams.abort(why);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#streams.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      this.#streams = new AbortController();
      const streams = [this.#followHealth(), this.#followFacts()];
      const error: unknown = await Promise.all(streams).catch((error: unknown) => error);
      // When one stream breaks, the other is ended, so that both begin together.
      const why: unknown = this.signal.aborted ? this.signal.reason : error;
      this.#streams.abort();
      await Promise.allSettled(streams);
      if (signal.aborted) return;
      this.#events.onBroken(why);
      await this.#backOff();
    }
  }

  async #followHealth(): Promise<void> {
    const health = createMeshClient(HealthDefinition, this.#channel);
    const { signal } = this.#streams;
    for await (const { status } of health.watch({ service: '' }, { signal })) {
      if (signal.aborted) break;
      this.#backoffMs = MIN_BACKOFF_MS;
      this.#events.onHealth(status === ServingStatus.SERVING);
    }
    throw ended();
  }

  async #followFacts(): Promise<void> {
    const instance = createMeshClient(InstanceServiceDefinition, this.#channel);
    const { signal } = this.#streams;
    try {
      for await (const facts of instance.watch({}, { signal })) {
        if (signal.aborted) break;
        this.#events.onFacts(facts);
      }
    } catch (error: unknown) {
      if (signal.aborted || !isUnimplemented(error)) throw error;
      this.#events.onFacts(undefined);
      return;
    }
    throw ended();
  }

  async #backOff(): Promise<void> {
    // Jitter spreads the callers of a process that comes back.
    const jitterMs = Math.random() * this.#backoffMs;
    const { signal } = this.#closing;
    await delay(this.#backoffMs + jitterMs, undefined, { signal }).catch(() => {});
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS);
  }
}

function isUnimplemented(error: unknown): boolean {
  if (!(error instanceof MeshError)) return false;
  return error.cause instanceof ClientError && error.cause.code === Status.UNIMPLEMENTED;
}

function ended(): MeshError {
  return new MeshError('NO_READY_ENDPOINT', 'the process ended its watch streams');
}
