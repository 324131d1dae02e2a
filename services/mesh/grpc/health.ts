import type { CallContext } from 'nice-grpc-common';
import { Changes } from '#mesh/async/changes.ts';
import { quoted } from '#mesh/client-text.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  type HealthCheckRequest,
  type HealthServiceImplementation,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from '#protos/grpc/health/v1/health.ts';

/**
 * The process's answer to gRPC health checks. SERVING means "a real piece of work has succeeded and
 * requests are welcome". A process is alive if it answers the call at all.
 */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #changes = new Changes();
  #serving = false;

  /** `services` are the full names this process answers for, besides "" (the process). */
  constructor(services: readonly string[]) {
    this.#services = new Set(['', ...services]);
  }

  get serving(): boolean {
    return this.#serving;
  }

  setServing(serving: boolean): void {
    if (this.#serving === serving) return;
    this.#serving = serving;
    this.#changes.notify();
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

  async *#watch(request: HealthCheckRequest, { signal }: CallContext) {
    const known = this.#services.has(request.service);
    let sent: ServingStatus | undefined;
    for (;;) {
      const seen = this.#changes.count;
      const status = known ? this.#status() : ServingStatus.SERVICE_UNKNOWN;
      if (status !== sent) yield { status };
      sent = status;
      await this.#changes.after(seen, { signal });
      if (signal.aborted) return;
    }
  }
}
