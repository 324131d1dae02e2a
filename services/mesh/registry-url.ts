import { MeshError } from './errors.ts';
import { isAddress } from './option-text.ts';

/** An etcd cluster and the place in it where a mesh keeps its keys. */
export interface EtcdRegistry {
  readonly kind: 'etcd';
  /** `host:port` of each member that may be asked. */
  readonly endpoints: readonly string[];
  /** Beginning of all keys, without a slash at its end. */
  readonly prefix: string;
  readonly user?: { readonly name: string; readonly password: string };
  /** Whether connections are encrypted; `caFile` holds the authorities to trust, PEM. */
  readonly isSecure: boolean;
  readonly caFile?: string;
}

/** Services of a Kubernetes namespace, one for each role. */
export interface KubernetesRegistry {
  readonly kind: 'kubernetes';
  readonly namespace: string;
  /** Name of a role's service, with `{role}` in it. */
  readonly service: string;
}

/** Names of a domain, one for each role. */
export interface DnsRegistry {
  readonly kind: 'dns';
  /** Name of a role's processes, with `{role}` in it. */
  readonly name: string;
  /** Port of all of them; unset: SRV records say it. */
  readonly port?: number;
}

export type RegistryAddress = EtcdRegistry | KubernetesRegistry | DnsRegistry;

/** Place of the role's name in the templates of services and domain names. */
export const ROLE_PLACE = '{role}';

const DEFAULT_PREFIX = '/autoglm';

const FORMS = {
  etcd: 'etcd://HOST:PORT,HOST:PORT/PREFIX',
  etcds: 'etcds://HOST:PORT,HOST:PORT/PREFIX?ca=FILE',
  kubernetes: 'kubernetes://NAMESPACE/SERVICE-OF-{role}',
  dns: 'dns://{role}.DOMAIN:PORT',
};

/** Reads the address of a registry; what is none is an INVALID_REQUEST that names its key. */
export function parseRegistry(text: string): RegistryAddress {
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case 'etcd':
      return parseEtcd(rest, FORMS.etcd, { isSecure: false });
    case 'etcds':
      return parseEtcd(rest, FORMS.etcds, { isSecure: true });
    case 'kubernetes':
      return parseKubernetes(rest);
    case 'dns':
      return parseDns(rest);
    default:
      // The text may hold a password, so no message repeats more of it than its scheme.
      throw refused(`got the scheme "${scheme}"; write ${Object.values(FORMS).join(' or ')}`);
  }
}

/** Returns the name of a role's service, or of its processes. */
export function nameOfRole(template: string, role: string): string {
  return template.replace(ROLE_PLACE, role);
}

/** Names a registry in log lines, without the password. */
export function registryTitle(registry: RegistryAddress): string {
  switch (registry.kind) {
    case 'etcd':
      return `etcd at ${registry.endpoints.join(', ')}`;
    case 'kubernetes':
      return `Kubernetes, namespace ${registry.namespace}`;
    case 'dns':
      return `DNS, ${registry.name}`;
  }
}

const ETCD_REST =
  /^(?:(?<user>[^:@/?]*):(?<password>[^@/?]*)@)?(?<hosts>[^@/?]+)(?<prefix>\/[^?]*)?(?:\?ca=(?<ca>.+))?$/;

function parseEtcd(
  rest: string,
  form: string,
  { isSecure }: { readonly isSecure: boolean },
): EtcdRegistry {
  const parts = ETCD_REST.exec(rest)?.groups;
  if (parts === undefined) throw refused(`an etcd registry is ${form}, before it USER:PASSWORD@`);
  const { user, password, hosts = '', prefix = '', ca } = parts;
  const endpoints = hosts.split(',');
  const wrong = endpoints.find((endpoint) => !isAddress(endpoint));
  if (wrong !== undefined)
    throw refused(`${JSON.stringify(wrong)} is not host:port; write ${form}`);
  if (ca !== undefined && !isSecure)
    throw refused(`ca= is for encrypted etcd; write ${FORMS.etcds}`);
  return {
    kind: 'etcd',
    endpoints,
    prefix: prefix.replace(/\/+$/, '') || DEFAULT_PREFIX,
    isSecure,
    ...(user !== undefined && { user: { name: decoded(user), password: decoded(password ?? '') } }),
    ...(ca !== undefined && { caFile: ca }),
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused('user and password are percent-encoded: a % is written %25');
  }
}

function parseKubernetes(rest: string): KubernetesRegistry {
  const [, namespace, service] = /^([a-z0-9-]+)\/([a-z0-9{}-]+)$/.exec(rest) ?? [];
  if (namespace === undefined || service === undefined || !hasRole(service)) {
    throw refused(`a Kubernetes registry is ${FORMS.kubernetes}`);
  }
  return { kind: 'kubernetes', namespace, service };
}

function parseDns(rest: string): DnsRegistry {
  const [, name, port] = /^([^\s:/?]+)(?::(\d{1,5}))?$/.exec(rest) ?? [];
  const isRecord = name?.startsWith('_') === true;
  const isComplete = isRecord ? port === undefined : Number(port) > 0 && Number(port) <= 65_535;
  if (name === undefined || !hasRole(name) || !isComplete) {
    throw refused(
      `a DNS registry is ${FORMS.dns}, or dns://_PORT._tcp.{role}.DOMAIN for SRV records`,
    );
  }
  return { kind: 'dns', name, ...(port !== undefined && { port: Number(port) }) };
}

function hasRole(template: string): boolean {
  return template.split(ROLE_PLACE).length === 2;
}

function refused(why: string): MeshError {
  return new MeshError('INVALID_REQUEST', `key "registry": ${why}`, { param: 'registry' });
}
