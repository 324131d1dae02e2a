/** What the choice of an endpoint looks at. */
export interface EndpointView {
  readonly isReady: boolean;
  /** Generations sent to it by this gateway and not yet ended. */
  readonly numOutstanding: number;
  /** Model names it serves; empty until it has said so. */
  readonly servedNames: readonly string[];
}

export type Pick<E> =
  | { readonly kind: 'picked'; readonly endpoint: E }
  | { readonly kind: 'unknown_model'; readonly known: readonly string[] }
  | { readonly kind: 'none_ready' };

export interface PickWish<E> {
  /** Undefined: the default model, the first that any endpoint serves. */
  readonly model: string | undefined;
  /** Endpoints that have already failed this request. */
  readonly tried: ReadonlySet<E>;
  /** Grows by one a request: endpoints with equal load take turns. */
  readonly turn: number;
}

/** Picks the ready endpoint of the model with the least outstanding work. */
export function pickEndpoint<E extends EndpointView>(
  endpoints: readonly E[],
  { model, tried, turn }: PickWish<E>,
): Pick<E> {
  const known = knownModels(endpoints);
  const name = model ?? known[0];
  if (name === undefined || known.length === 0) return { kind: 'none_ready' };
  if (!known.includes(name)) return { kind: 'unknown_model', known };
  const candidates = endpoints.filter(
    (one) => one.isReady && one.servedNames.includes(name) && !tried.has(one),
  );
  const least = Math.min(...candidates.map((one) => one.numOutstanding));
  const idlest = candidates.filter((one) => one.numOutstanding === least);
  const endpoint = idlest[turn % idlest.length];
  return endpoint === undefined ? { kind: 'none_ready' } : { kind: 'picked', endpoint };
}

/** Names of all endpoints, ready or not, in configuration order, each once. */
export function knownModels(endpoints: readonly EndpointView[]): string[] {
  return [...new Set(endpoints.flatMap((endpoint) => endpoint.servedNames))];
}
