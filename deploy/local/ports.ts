import { createServer } from 'node:net';
import { MeshError } from '#mesh/errors.ts';
import type { OptionValues } from '#mesh/options.ts';
import type { ProcessConfig } from './config.ts';

/** An address a process will listen on, and the key that changes it. */
interface Claim {
  readonly role: string;
  readonly key: string;
  readonly host: string;
  readonly port: number;
}

/** Refuses, before anything is loaded, a port that another program holds or two processes share. */
export async function claimPorts(processes: readonly ProcessConfig[]): Promise<void> {
  const claims = processes.flatMap((one) => claimsOf(one.role.name, one.values));
  for (const [i, claim] of claims.entries()) {
    const rival = claims.slice(0, i).find((one) => one.port === claim.port && claim.port !== 0);
    if (rival !== undefined) throw inUse(claim, `"${rival.key}" of "${rival.role}" has it too`);
    await tryListen(claim);
  }
}

function claimsOf(role: string, values: OptionValues): Claim[] {
  const { listen, host, port } = values;
  if (typeof host === 'string' && typeof port === 'number') {
    return [{ role, key: 'port', host, port }];
  }
  if (typeof listen !== 'string') return [];
  const colon = listen.lastIndexOf(':');
  const bare = listen.slice(0, colon).replaceAll(/^\[|\]$/g, '');
  return [{ role, key: 'listen', host: bare, port: Number(listen.slice(colon + 1)) }];
}

function tryListen(claim: Claim): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => reject(inUse(claim, error.message)));
    server.listen({ host: claim.host, port: claim.port, exclusive: true }, () => {
      server.close(() => resolve());
    });
  });
}

function inUse({ role, key, host, port }: Claim, why: string): MeshError {
  const change = `set the key "${key}" in the section "${role}" of the configuration`;
  const flag = key === 'port' ? ' or --port' : '';
  const message = `cannot listen on ${host}:${port} (${why}); to use another port, ${change}${flag}`;
  return new MeshError('INVALID_REQUEST', message, { param: key });
}
