import { Type } from 'typebox';

/** Where a process finds the others, and how it is found by them. */
export const registryOptionFields = {
  registry: Type.Optional(
    Type.String({
      meaning: 'registry',
      secret: true,
      description:
        'Where processes find each other, besides the addresses given here: etcd://HOST:PORT, kubernetes://NAMESPACE/SERVICE-OF-{role} or dns://{role}.DOMAIN:PORT; unset: by those alone',
    }),
  ),
  advertise: Type.Optional(
    Type.String({
      meaning: 'address',
      description:
        'Address that a registry gives to others, host:port; unset: the one listened on, and for 0.0.0.0 the first of this machine',
    }),
  ),
  zone: Type.String({
    default: '',
    description: 'Name of the place whose failure would take this process along',
  }),
} as const;

/** The same for processes that work is sent to. */
export const servingOptionFields = {
  ...registryOptionFields,
  weight: Type.Number({
    exclusiveMinimum: 0,
    maximum: 1000,
    default: 1,
    description: 'Share of the work beside others that a registry lists',
  }),
} as const;
