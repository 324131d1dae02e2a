import { readFileSync } from 'node:fs';
import { Channel, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { type Client, Metadata } from 'nice-grpc';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import type { EtcdRegistry } from '#mesh/registry-url.ts';
import {
  AuthDefinition,
  KVDefinition,
  LeaseDefinition,
  WatchDefinition,
} from '#protos/etcd/api/etcdserverpb/rpc.ts';

/** Options of a call. */
export interface EtcdCall {
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
}

const CHANNEL_OPTIONS: ChannelOptions = {
  // A connection of which only this side is left is found out.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.enable_channelz': 0,
  'grpc.enable_retries': 0,
  // Another connection is another attempt to connect, whatever became of the one before.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 100,
  'grpc.max_receive_message_length': 64 * 1024 * 1024,
};

/** A connection to one member of an etcd cluster. */
export class EtcdConnection {
  readonly endpoint: string;
  readonly kv: Client<typeof KVDefinition>;
  readonly lease: Client<typeof LeaseDefinition>;
  readonly watch: Client<typeof WatchDefinition>;
  readonly #auth: Client<typeof AuthDefinition>;
  readonly #channel: Channel;
  readonly #user: EtcdRegistry['user'];
  #token: Promise<string> | undefined;

  constructor(endpoint: string, registry: EtcdRegistry) {
    this.endpoint = endpoint;
    this.#user = registry.user;
    this.#channel = new Channel(endpoint, credentialsOf(registry), CHANNEL_OPTIONS);
    this.kv = createMeshClient(KVDefinition, this.#channel);
    this.lease = createMeshClient(LeaseDefinition, this.#channel);
    this.watch = createMeshClient(WatchDefinition, this.#channel);
    this.#auth = createMeshClient(AuthDefinition, this.#channel);
  }

  /** Makes a call's options; logs in first where that is needed. */
  async callWith(signal: AbortSignal): Promise<EtcdCall> {
    // A member that is cut off from the others ends watches and pings instead of keeping them.
    const metadata = Metadata({ hasleader: 'true' });
    if (this.#user !== undefined) {
      const { name, password } = this.#user;
      this.#token ??= this.#auth.authenticate({ name, password }, { signal }).then(tokenOf);
      metadata.set('token', await this.#token);
    }
    return { signal, metadata };
  }

  close(): void {
    this.#channel.close();
  }
}

const tokenOf = ({ token }: { readonly token: string }) => token;

function credentialsOf({ isSecure, caFile }: EtcdRegistry) {
  if (!isSecure) return credentials.createInsecure();
  return credentials.createSsl(caFile === undefined ? null : readAuthorities(caFile));
}

function readAuthorities(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause: unknown) {
    const message = `key "registry": the authorities in ${path} cannot be read (${errorMessage(cause)})`;
    throw new MeshError('INVALID_REQUEST', message, { param: 'registry', cause });
  }
}
