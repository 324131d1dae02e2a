/** The part of an endpoint that tells what it serves. */
export interface EndpointView {
  /** The model it serves; undefined until it has described it. */
  readonly model: { readonly servedNames: readonly string[] } | undefined;
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
