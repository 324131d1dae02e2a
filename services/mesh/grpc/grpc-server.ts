import type { ChannelOptions } from '@grpc/grpc-js';
import { createServer, type Server } from 'nice-grpc';
import type { Clock } from '#mesh/async/clock.ts';
import { quoted } from '#mesh/client-text.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { isInUse, listenWhenFree } from '#mesh/listen-when-free.ts';
import type { Log } from '#mesh/log/log.ts';
import { parseHostPort, probePort } from '#mesh/port-probe.ts';
import { HealthDefinition } from '#protos/grpc/health/v1/health.ts';
import { boundedTarget, refuseUnreadable, type ServiceTarget } from './bounded-messages.ts';
import { errorToStatusMiddleware } from './error-status.ts';
import { withFarDeadlines } from './far-deadline.ts';
import type { Health } from './health.ts';
import { noteSenders } from './message-senders.ts';
import { addReflection } from './reflection.ts';

/** Largest message accepted: a prompt of 16 MiB of text and the rest of its request. */
const MAX_RECEIVE_BYTES = 20 * 1024 * 1024;

const SERVER_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
  'grpc.max_concurrent_streams': 4096,
  // Without channelz grpc-js 1.14 does not keep the sessions that a forced shutdown has to destroy.
  'grpc.enable_channelz': 1,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // The first one is next to the connection, so that what is sent past grpc-js passes none other.
  interceptors: [withFarDeadlines(noteSenders), refuseUnreadable],
};

export interface MeshServerOptions {
  /** Address `host:port`; port 0 picks a free one. */
  readonly listen: string;
  readonly log: Log;
  readonly health: Health;
  /** Full names of the services that `addServices` adds, for reflection. */
  readonly serviceNames: readonly string[];
  readonly addServices: (target: ServiceTarget) => void;
  /** Clock of the wait for a port in use. */
  readonly clock?: Clock;
}

/** A listening internal gRPC server. */
export interface MeshServer {
  readonly address: string;
  /** Refuses new calls, lets running ones finish, and after `graceMs` cancels them. */
  close(graceMs: number): Promise<void>;
}

/** Starts the internal server of a process: its services, health and reflection. */
export async function startMeshServer(options: MeshServerOptions): Promise<MeshServer> {
  const server = createServer(SERVER_OPTIONS).use(errorToStatusMiddleware(options.log));
  const target = boundedTarget(server);
  options.addServices(target);
  target.add(HealthDefinition, options.health.implementation);
  addReflection(server, [...options.serviceNames, HealthDefinition.fullName]);
  const port = await listen(server, options);
  const host = options.listen.slice(0, options.listen.lastIndexOf(':'));
  return { address: `${host}:${port}`, close: (graceMs) => close(server, graceMs) };
}

/** A host without a zone, in brackets if it is an IPv6 address, and a port. */
const LISTEN_ADDRESS = /^(?:\[[\da-f:.]+\]|[^\s:%/[\]]+):(\d{1,5})$/i;

/**
 * Refuses an address that callers could not reach: gRPC reads "host" as port 443 and a zone as part
 * of a name.
 */
function checkAddress(address: string): void {
  const port = LISTEN_ADDRESS.exec(address)?.[1];
  if (port !== undefined && Number(port) <= 65_535) return;
  const zone = address.includes('%')
    ? '; the zone of an IPv6 address (%eth0) is not supported'
    : '';
  const message = `key "listen": ${quoted(address)} is not host:port; write 127.0.0.1:8051 or [::1]:8051${zone}`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'listen' });
}

async function listen(
  server: Server,
  { listen: address, log, clock }: MeshServerOptions,
): Promise<number> {
  checkAddress(address);
  try {
    return await listenWhenFree(
      async () => {
        // grpc-js writes each failure to standard error itself, so a port in use is found before it
        // listens.
        await probePort(parseHostPort(address)).catch((error: unknown) => {
          if (isInUse(error)) throw error;
        });
        return server.listen(address);
      },
      { address, log, ...(clock && { clock }) },
    );
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    const message = `cannot listen on ${address}: ${why}; choose another address with the key "listen"`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'listen', cause });
  }
}

async function close(server: Server, graceMs: number): Promise<void> {
  const timer = setTimeout(() => server.forceShutdown(), graceMs);
  await server.shutdown();
  clearTimeout(timer);
}
