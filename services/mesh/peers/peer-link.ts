import { connectivityState as ConnectivityState } from '@grpc/grpc-js';
import { type Channel, ClientError, Status } from 'nice-grpc';
import { Backoff } from '#mesh/async/backoff.ts';
import { systemClock } from '#mesh/async/clock.ts';
import { pause } from '#mesh/async/pause.ts';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import { InstanceServiceDefinition, type WatchResponse } from '#protos/autoglm/mesh/v1/instance.ts';
import {
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';

/** Waits between two attempts to follow a process, milliseconds. */
const RETRY = { minMs: 100, maxMs: 2000 };

/** Longest wait for a change of the connection before the end of this link is looked at, ms. */
const CONNECTION_LOOK_MS = 200;

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
  readonly #backoff = new Backoff(RETRY);
  /** Aborts the streams that are open. */
  #streams = new AbortController();

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
      await this.#connected();
      this.#streams = new AbortController();
      const streams = [this.#followHealth(), this.#followFacts()];
      const error: unknown = await Promise.all(streams).catch((error: unknown) => error);
      // When one stream breaks, the other is ended, so that both begin together.
      const why: unknown = this.signal.aborted ? this.signal.reason : error;
      this.#streams.abort();
      await Promise.allSettled(streams);
      if (signal.aborted) return;
      this.#events.onBroken(why);
      await pause(this.#backoff.next(), { signal, clock: systemClock });
    }
  }

  async #followHealth(): Promise<void> {
    const health = createMeshClient(HealthDefinition, this.#channel);
    const { signal } = this.#streams;
    for await (const { status } of health.watch({ service: '' }, { signal })) {
      if (signal.aborted) break;
      this.#backoff.reset();
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

  /**
   * Waits until the channel is connected, or this link is closed. The channel tries it ten times a
   * second, so that a process is used as soon as it listens.
   */
  async #connected(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const state = this.#channel.getConnectivityState(true);
      if (state === ConnectivityState.READY) return;
      const deadline = Date.now() + CONNECTION_LOOK_MS;
      await new Promise<void>((resolve) => {
        this.#channel.watchConnectivityState(state, deadline, () => resolve());
      });
    }
  }
}

function isUnimplemented(error: unknown): boolean {
  if (!(error instanceof MeshError)) return false;
  return error.cause instanceof ClientError && error.cause.code === Status.UNIMPLEMENTED;
}

function ended(): MeshError {
  return new MeshError('NO_READY_ENDPOINT', 'the process ended its watch streams');
}
