/** What the choice of an endpoint looks at. */
export interface EndpointView {
  /** Calls sent to it by this gateway and not yet ended. */
  readonly numOutstanding: number;
  /** What it serves; undefined until it has said so. */
  readonly model: { readonly servedNames: readonly string[] } | undefined;
}

export interface PickWish {
  /** A name that the endpoint serves. */
  readonly model: string;
  /** Grows by one a request: endpoints with equal load take turns. */
  readonly turn: number;
}

/** Picks, of the endpoints that may be asked, the one of the model with the least outstanding work. */
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
  /** No endpoint has told its model yet. */
  | { readonly kind: 'none known' };

/** Finds the model that a request names; undefined means the default, the first that any serves. */
export function findModel(
  endpoints: readonly EndpointView[],
  wanted: string | undefined,
): NamedModel {
  const known = knownModels(endpoints);
  const name = wanted ?? known[0];
  if (name === undefined || known.length === 0) return { kind: 'none known' };
  return known.includes(name) ? { kind: 'known', name } : { kind: 'unknown', known };
}

/** Names of all endpoints, ready or not, in configuration order, each once. */
export function knownModels(endpoints: readonly EndpointView[]): string[] {
  return [...new Set(endpoints.flatMap(({ model }) => model?.servedNames ?? []))];
}

export function serves({ model }: EndpointView, name: string): boolean {
  return model?.servedNames.includes(name) ?? false;
}
