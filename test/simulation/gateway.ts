import type { Clock } from '#mesh/async/clock.ts';
import { Ejection } from '#mesh/balance/ejection.ts';
import { LeastWorkPicker } from '#mesh/balance/least-work-picker.ts';
import { RetryBudget } from '#mesh/balance/retry-budget.ts';
import { PeerWork } from '#mesh/peers/peer-work.ts';
import type { CallEnd, SimulatedBackbone } from './backbone.ts';

/** The gateway's defaults of `max-attempts`, `max-fails` and `fail-timeout-s`. */
const MAX_ATTEMPTS = 3;
const MAX_FAILS = 3;
const FAIL_TIMEOUT_MS = 30_000;

/** Milliseconds until a caller is told that nobody listens at an address. */
const UNREACHABLE_MS = 1;

/** What a request is to the picker. */
export interface SimulatedRequest {
  /** Work, tokens. */
  readonly work: number;
  readonly affinity: number | undefined;
}

/** A backbone as one gateway sees it. */
interface Endpoint {
  readonly backbone: SimulatedBackbone;
  readonly address: string;
  readonly hash: number;
  readonly member: { readonly weight: number };
  readonly work: PeerWork;
  /** Gives up the calls that run there. */
  readonly onLost: Set<() => void>;
}

/** What happens at the gateways, told as it happens. */
export interface GatewayObserver {
  asked(backbone: SimulatedBackbone): void;
  /** Another backbone is to answer a request, or to go on with its answer. */
  retried(isResume: boolean): void;
  /** No backbone is left to answer a request. */
  failed(): void;
}

export interface GatewayOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: GatewayObserver;
}

/**
 * A gateway without sockets: its picker, its estimates of work, its ejection and its retry budget
 * are those of the real one; it takes up failures in the order of `Attempts`.
 */
export class SimulatedGateway {
  readonly #options: GatewayOptions;
  /** By the backbones' numbers. */
  readonly #endpoints: (Endpoint | undefined)[] = [];
  /** Those that may be asked, as the picker wants them. */
  #serving: readonly Endpoint[] = [];
  readonly #lost = new Set<Endpoint>();
  readonly #ejection: Ejection;
  readonly #picker: LeastWorkPicker;
  readonly #budget = new RetryBudget();

  constructor(options: GatewayOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#ejection = new Ejection({ maxFails: MAX_FAILS, failTimeoutMs: FAIL_TIMEOUT_MS, clock });
    this.#picker = new LeastWorkPicker({ ejection: this.#ejection, random });
  }

  /** Takes up a backbone that the registry names and that is ready. */
  join(backbone: SimulatedBackbone): void {
    const { address, hash, weight } = backbone;
    const work = new PeerWork();
    const onLost = new Set<() => void>();
    const endpoint = { backbone, address, hash, member: { weight }, work, onLost };
    this.#endpoints[backbone.index] = endpoint;
    this.#serving = [...this.#serving, endpoint];
  }

  /** Asks a backbone nothing more. */
  leave(backbone: SimulatedBackbone): void {
    if (!this.#serving.some((one) => one.backbone === backbone)) return;
    this.#serving = this.#serving.filter((one) => one.backbone !== backbone);
    this.#ejection.keep(new Set(this.#serving.map(({ address }) => address)));
  }

  /** Gives up a backbone: what runs there goes on elsewhere. */
  lose(backbone: SimulatedBackbone): void {
    this.leave(backbone);
    const endpoint = this.#endpoints[backbone.index];
    this.#endpoints[backbone.index] = undefined;
    for (const giveUp of endpoint?.onLost ?? []) giveUp();
  }

  /** Notes what a backbone says of the work inside it, tokens. */
  report(backbone: SimulatedBackbone, work: number): void {
    this.#endpoints[backbone.index]?.work.report(work, this.#options.clock.now());
  }

  request(request: SimulatedRequest): void {
    this.#budget.deposit();
    this.#ask(request, new Set());
  }

  #ask(request: SimulatedRequest, tried: ReadonlySet<Endpoint>): void {
    const { clock, observer } = this.#options;
    const candidates = this.#serving.filter((one) => !tried.has(one));
    const endpoint = this.#picker.pick(candidates, this.#serving, request);
    if (endpoint === undefined) {
      observer.failed();
      return;
    }
    const { backbone, work, onLost } = endpoint;
    observer.asked(backbone);
    work.begin(request.work);
    let isOver = false;
    const end = (how: CallEnd) => {
      if (isOver) return;
      isOver = true;
      work.end(request.work);
      onLost.delete(giveUp);
      this.#ended(request, new Set([...tried, endpoint]), { endpoint, how });
    };
    const giveUp = () => end('lost');
    onLost.add(giveUp);
    if (backbone.state === 'running') backbone.begin({ work: request.work, onEnd: end });
    else if (backbone.state === 'ended') clock.after(UNREACHABLE_MS, () => end('unreachable'));
  }

  #ended(
    request: SimulatedRequest,
    tried: ReadonlySet<Endpoint>,
    { endpoint, how }: { readonly endpoint: Endpoint; readonly how: CallEnd },
  ): void {
    const { observer } = this.#options;
    if (how === 'answered') {
      this.#ejection.succeeded(endpoint.address);
      return;
    }
    this.#noteFault(endpoint, how);
    // A stream that was lost had brought tokens, so that all others may be asked again.
    const asked = how === 'lost' ? new Set([endpoint]) : tried;
    const isFree = how !== 'engine failed';
    if (asked.size >= MAX_ATTEMPTS || !(isFree || this.#budget.withdraw())) {
      observer.failed();
      return;
    }
    observer.retried(how === 'lost');
    this.#ask(request, asked);
  }

  /** Counts a fault; the end of a process counts once, whatever it broke off. */
  #noteFault(endpoint: Endpoint, how: CallEnd): void {
    if (how !== 'engine failed') {
      if (this.#lost.has(endpoint)) return;
      this.#lost.add(endpoint);
    }
    this.#ejection.failed(endpoint.address);
  }
}
