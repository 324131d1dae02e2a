import { createServer } from 'node:net';

/** An address to listen on. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Splits `host:port`; an IPv6 host is in brackets. */
export function parseHostPort(address: string): HostPort {
  const colon = address.lastIndexOf(':');
  const host = address.slice(0, colon).replaceAll(/^\[|\]$/g, '');
  return { host, port: Number(address.slice(colon + 1)) };
}

/** Listens for a moment to find out whether the port is free; rejects with the system's error. */
export function probePort({ host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
