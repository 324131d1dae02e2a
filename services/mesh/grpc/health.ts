import type { CallContext } from 'nice-grpc-common';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  type HealthCheckRequest,
  type HealthServiceImplementation,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';

/**
 * The process's answer to gRPC health checks. SERVING means "a real piece of work has succeeded and
 * new work is welcome"; liveness is that the call is answered at all.
 */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<() => void>();
  #serving = false;

  /** `services`: full names this process answers for, besides "" (the process). */
  constructor(services: readonly string[]) {
    this.#services = new Set(['', ...services]);
  }

  get serving(): boolean {
    return this.#serving;
  }

  setServing(serving: boolean): void {
    if (this.#serving === serving) return;
    this.#serving = serving;
    for (const wake of [...this.#watchers]) wake();
  }

  readonly implementation: HealthServiceImplementation = {
    check: async (request) => {
      if (!this.#services.has(request.service)) {
        throw new MeshError('NOT_FOUND', `no service ${quoted(request.service)} in this process`);
      }
      return { status: this.#status() };
    },
    watch: (request, context) => this.#watch(request, context),
  };

  #status(): ServingStatus {
    return this.#serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING;
  }

  async *#watch(request: HealthCheckRequest, context: CallContext) {
    const known = this.#services.has(request.service);
    yield { status: known ? this.#status() : ServingStatus.SERVICE_UNKNOWN };
    let sent = this.#serving;
    while (!context.signal.aborted) {
      await this.#changed(context.signal);
      if (known && sent !== this.#serving) {
        sent = this.#serving;
        yield { status: this.#status() };
      }
    }
  }

  /** Resolves at the next change or when the call ends. */
  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener('abort', wake);
      if (signal.aborted) wake();
    });
  }
}
