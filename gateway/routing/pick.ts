/** The facts about an endpoint that decide whether it is picked. */
export interface EndpointView {
  /** Number of calls that this gateway has sent to it and that have not ended. */
  readonly numOutstanding: number;
  /** The model it serves; undefined until it has described it. */
  readonly model: { readonly servedNames: readonly string[] } | undefined;
}

export interface PickWish {
  /** A name that the endpoint serves. */
  readonly model: string;
  /** A number that grows by one with each request, so that endpoints with equal load take turns. */
  readonly turn: number;
}

/**
 * Picks the endpoint of the model with the least outstanding work among those that may be asked.
 */
export function pickEndpoint<E extends EndpointView>(
  candidates: readonly E[],
  { model, turn }: PickWish,
): E | undefined {
  const serving = candidates.filter((one) => serves(one, model));
  const least = Math.min(...serving.map((one) => one.numOutstanding));
  const idlest = serving.filter((one) => one.numOutstanding === least);
  return idlest[turn % idlest.length];
}

export type NamedModel =
  | { readonly kind: 'known'; readonly name: string }
  | { readonly kind: 'unknown'; readonly known: readonly string[] }
  /** No endpoint has described its model so far. */
  | { readonly kind: 'none known' };

/**
 * Finds the model that a request names; undefined means the default, the first that any endpoint
 * serves.
 */
export function findModel(
  endpoints: readonly EndpointView[],
  wanted: string | undefined,
): NamedModel {
  const known = knownModels(endpoints);
  const name = wanted ?? known[0];
  if (name === undefined || known.length === 0) return { kind: 'none known' };
  return known.includes(name) ? { kind: 'known', name } : { kind: 'unknown', known };
}

/** Returns the names of all endpoints, ready or not, in configuration order, each once. */
export function knownModels(endpoints: readonly EndpointView[]): string[] {
  return [...new Set(endpoints.flatMap(({ model }) => model?.servedNames ?? []))];
}

export function serves({ model }: EndpointView, name: string): boolean {
  return model?.servedNames.includes(name) ?? false;
}
