import type { Clock } from '#mesh/async/clock.ts';
import { withDeadline } from '#mesh/async/deadline.ts';
import type { Ejection } from '#mesh/balance/ejection.ts';
import { errorMessage } from '#mesh/error-message.ts';
import type { Log } from '#mesh/log/log.ts';
import { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { BackbonePeer } from './backbone-peer.ts';
import type { GenerateEvent } from './generate-call.ts';

/** Milliseconds between two probes, and time that one has. */
const PROBE_INTERVAL_MS = 1000;
const PROBE_LIMIT_MS = 5000;

/** A prompt that every model can read: one token, after which one is generated. */
const PROBE = GenerateStart.fromPartial({
  requestId: 'probe',
  prompt: { form: { $case: 'tokens', value: { tokenIds: [0] } } },
  sampling: { temperature: 0, maxTokens: 1 },
});

export interface ProberOptions {
  readonly endpoints: () => readonly BackbonePeer[];
  readonly ejection: Ejection;
  readonly clock: Clock;
  readonly log: Log;
}

/** Lets endpoints that were taken out generate a token, and readmits them when they do. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #probing = new Set<string>();
  readonly #closing = new AbortController();
  #callOff: () => void;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#callOff = options.clock.after(PROBE_INTERVAL_MS, () => this.#probeAll());
  }

  close(): void {
    this.#callOff();
    this.#closing.abort();
  }

  #probeAll(): void {
    const { endpoints, ejection, clock } = this.#options;
    ejection.keep(new Set(endpoints().map(({ address }) => address)));
    for (const one of endpoints()) {
      const isDue = one.isReady && ejection.isOut(one.address) && !this.#probing.has(one.address);
      if (isDue) void this.#probe(one);
    }
    this.#callOff = clock.after(PROBE_INTERVAL_MS, () => this.#probeAll());
  }

  async #probe({ address, calls }: BackbonePeer): Promise<void> {
    const { ejection, clock, log } = this.#options;
    const { signal } = this.#closing;
    const late = () => new Error('it takes too long');
    const generate = async (within: AbortSignal) => {
      const take = ({ $case }: GenerateEvent): undefined => {
        if ($case !== 'finished') return;
        ejection.succeeded(address);
        log.info(`LLM backbone ${address} generates again and is asked again`);
      };
      await calls.generation.generate({ start: PROBE, media: [] }, { signal: within, take });
    };
    this.#probing.add(address);
    try {
      await withDeadline(generate, { signal, limitMs: PROBE_LIMIT_MS, clock, late });
    } catch (error: unknown) {
      log.debug(`probe of LLM backbone ${address} failed: ${errorMessage(error)}`);
    } finally {
      this.#probing.delete(address);
    }
  }
}
