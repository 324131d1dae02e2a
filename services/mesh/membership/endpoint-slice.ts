import { type Static, type TSchema, Type } from 'typebox';
import type { Member } from '#mesh/peers/membership.ts';

const optional = Type.Optional;
const orNull = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** The part of a Kubernetes EndpointSlice (discovery.k8s.io/v1) that says who serves, and how. */
export const endpointSlice = Type.Object({
  metadata: Type.Object({ name: Type.String(), resourceVersion: optional(Type.String()) }),
  addressType: Type.String(),
  endpoints: optional(
    orNull(
      Type.Array(
        Type.Object({
          addresses: Type.Array(Type.String()),
          zone: optional(Type.String()),
          conditions: optional(
            Type.Object({
              ready: optional(Type.Boolean()),
              serving: optional(Type.Boolean()),
              terminating: optional(Type.Boolean()),
            }),
          ),
        }),
      ),
    ),
  ),
  ports: optional(
    orNull(
      Type.Array(
        Type.Object({ name: optional(orNull(Type.String())), port: optional(Type.Integer()) }),
      ),
    ),
  ),
});

export type EndpointSlice = Static<typeof endpointSlice>;

/** Name of the port of the internal gRPC server, if a service has several. */
const PORT_NAME = 'grpc';

/**
 * Returns the members that slices list, each address once. One that terminates leaves: it is asked
 * nothing new, and what it does is waited for. One that has not become ready yet is none.
 */
export function membersOf(slices: Iterable<EndpointSlice>): readonly Member[] {
  const byAddress = new Map<string, Member>();
  for (const slice of slices) {
    const port = portOf(slice);
    if (port === undefined || slice.addressType === 'FQDN') continue;
    for (const { addresses, conditions = {}, zone = '' } of slice.endpoints ?? []) {
      const { ready = true, terminating = false } = conditions;
      const { serving = ready } = conditions;
      const [host] = addresses;
      if (host === undefined || !(ready || (terminating && serving))) continue;
      const address = `${slice.addressType === 'IPv6' ? `[${host}]` : host}:${port}`;
      const member = { address, weight: 1, zone, isLeaving: terminating };
      // While an endpoint moves from slice to slice, it is in both.
      if (byAddress.get(address)?.isLeaving !== false) byAddress.set(address, member);
    }
  }
  return [...byAddress.values()].sort((a, b) => a.address.localeCompare(b.address));
}

function portOf({ ports }: EndpointSlice): number | undefined {
  const named = ports?.find(({ name }) => name === PORT_NAME);
  const only = ports?.length === 1 ? ports[0] : undefined;
  return (named ?? only)?.port;
}
