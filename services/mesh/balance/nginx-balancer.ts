import type { Clock } from '#mesh/async/clock.ts';

/** One server of an upstream. */
export interface NginxServer {
  readonly address: string;
  /** A whole number of at least 1; a server of weight 2 takes twice the requests. */
  readonly weight: number;
}

export interface NginxBalancerOptions {
  readonly clock: Clock;
  /** Failures after which a server is not asked for a while; 0: it always is. */
  readonly maxFails: number;
  /** How long it is not asked, and how long failures are remembered, whole seconds. */
  readonly failTimeoutS: number;
}

/** What nginx keeps of a server. Its clock counts whole seconds. */
interface ServerState {
  readonly weight: number;
  /** `0 ≤ effectiveWeight ≤ weight`: lowered by failures, raised by one in each round. */
  effectiveWeight: number;
  /** Grows by the effective weight in each round of tied servers; the one that is picked pays it. */
  currentWeight: number;
  /** Requests that run. */
  numConnections: number;
  numFails: number;
  /** Second of the last failure. */
  accessedS: number;
  /** Second of the last failure, or of the last pick more than a timeout later. `≥ accessedS`. */
  checkedS: number;
}

interface Candidate {
  readonly address: string;
  readonly state: ServerState;
}

/**
 * Balances as nginx does with `least_conn; server … max_fails fail_timeout`, in one worker: the same
 * picks and bans at the same seconds, from the source of ngx_http_upstream_least_conn_module and
 * ngx_http_upstream_round_robin.
 *
 * Failures are no window: one more than a timeout after the last mark begins anew only when a request
 * that was picked then succeeds. After a ban exactly one request tries the server, until it ends or
 * another timeout has passed.
 */
export class NginxBalancer {
  readonly #options: NginxBalancerOptions;
  readonly #states = new Map<string, ServerState>();
  #isSingle = false;

  constructor(options: NginxBalancerOptions) {
    this.#options = options;
  }

  /**
   * Picks among the servers of an upstream, given whole and in a fixed order, those banned included;
   * `tried` are skipped. Undefined if none may be asked. Each pick is released once.
   */
  pick(servers: readonly NginxServer[], tried: ReadonlySet<string>): string | undefined {
    const nowS = this.#nowS();
    this.#isSingle = servers.length === 1;
    const candidates = servers
      .filter(({ address }) => !tried.has(address))
      .map((server) => ({ address: server.address, state: this.#stateOf(server) }))
      .filter(({ state }) => this.#isSingle || !this.#isBanned(state, nowS));
    const picked = takeTurn(leastConnected(candidates));
    if (picked === undefined) return undefined;
    const { state, address } = picked;
    if (nowS - state.checkedS > this.#options.failTimeoutS) state.checkedS = nowS;
    state.numConnections += 1;
    return address;
  }

  /**
   * Ends a request that was sent to a server. nginx counts as failed what `proxy_next_upstream`
   * lists, and an answer that broke off after its head as good.
   */
  release(address: string, failed: boolean): void {
    const state = this.#states.get(address);
    if (state === undefined) return;
    state.numConnections -= 1;
    // The only server is never given up.
    if (this.#isSingle) state.numFails = 0;
    else if (failed) this.#fail(state);
    else if (state.accessedS < state.checkedS) state.numFails = 0;
  }

  /** Tells whether a server is not asked for a while. */
  isOut(address: string): boolean {
    const state = this.#states.get(address);
    return state !== undefined && this.#isBanned(state, this.#nowS());
  }

  /** Forgets servers that have left the upstream. */
  keep(addresses: ReadonlySet<string>): void {
    for (const address of this.#states.keys()) {
      if (!addresses.has(address)) this.#states.delete(address);
    }
  }

  #fail(state: ServerState): void {
    const { maxFails } = this.#options;
    state.numFails += 1;
    state.accessedS = this.#nowS();
    state.checkedS = state.accessedS;
    if (maxFails === 0) return;
    const penalty = Math.floor(state.weight / maxFails);
    state.effectiveWeight = Math.max(0, state.effectiveWeight - penalty);
  }

  #isBanned({ numFails, checkedS }: ServerState, nowS: number): boolean {
    const { maxFails, failTimeoutS } = this.#options;
    return maxFails > 0 && numFails >= maxFails && nowS - checkedS <= failTimeoutS;
  }

  #nowS(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }

  /** Returns a server's state; a weight that has changed begins anew, as in a reloaded nginx. */
  #stateOf({ address, weight }: NginxServer): ServerState {
    const known = this.#states.get(address);
    if (known?.weight === weight) return known;
    const fresh = { numConnections: 0, numFails: 0, accessedS: 0, checkedS: 0, ...known };
    const state = { ...fresh, weight, effectiveWeight: weight, currentWeight: 0 };
    this.#states.set(address, state);
    return state;
  }
}

/** Returns those with the fewest requests for their weight, in order. */
function leastConnected(candidates: readonly Candidate[]): Candidate[] {
  let least: Candidate[] = [];
  for (const one of candidates) {
    const [best] = least;
    const difference = best === undefined ? -1 : comparedLoad(one.state, best.state);
    if (difference < 0) least = [one];
    else if (difference === 0) least.push(one);
  }
  return least;
}

/** Compares connections/weight without a division. */
function comparedLoad(a: ServerState, b: ServerState): number {
  return a.numConnections * b.weight - b.numConnections * a.weight;
}

/** Picks among equally loaded servers by smooth weighted round-robin; a single one pays nothing. */
function takeTurn(tied: readonly Candidate[]): Candidate | undefined {
  let [best] = tied;
  if (best === undefined || tied.length === 1) return best;
  let total = 0;
  for (const one of tied) {
    const { state } = one;
    state.currentWeight += state.effectiveWeight;
    total += state.effectiveWeight;
    if (state.effectiveWeight < state.weight) state.effectiveWeight += 1;
    if (state.currentWeight > best.state.currentWeight) best = one;
  }
  best.state.currentWeight -= total;
  return best;
}
