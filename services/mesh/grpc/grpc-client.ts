import type { ChannelOptions } from '@grpc/grpc-js';
import type { TsProtoServiceDefinition } from 'nice-grpc';
import { type Channel, type Client, createClientFactory } from 'nice-grpc';
import { statusToErrorMiddleware } from './error-status.ts';
import { KEEPALIVE } from './http2-connection.ts';
import { RenewingChannel } from './renewing-channel.ts';

const MIB = 1024 * 1024;

/** Largest message that is received. */
export const MAX_RECEIVE_BYTES = 16 * MIB;

/** The use of a channel, which decides its HTTP/2 windows and message bound. */
export type ChannelUse = 'tokens' | 'tensors';

const COMMON_OPTIONS: ChannelOptions = {
  // A connection that swallows what is sent is noticed by this if its peer is heard on another one.
  'grpc.keepalive_time_ms': KEEPALIVE.intervalMs,
  'grpc.keepalive_timeout_ms': KEEPALIVE.timeoutMs,
  'grpc.enable_channelz': 0,
  // The router retries, because it knows whether a first token has been delivered.
  'grpc.enable_retries': 0,
  // A refused connection costs little, and a process that was restarted is to be used at once.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 100,
  // Channels share no connection, so that bulk data does not delay tokens.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': MAX_RECEIVE_BYTES,
};

// The default window limits a stream to 64 KiB a round trip; only a client can raise it.
const TENSOR_OPTIONS: ChannelOptions = { 'grpc-node.flow_control_window': 16 * MIB };

export function openChannel(address: string, use: ChannelUse): Channel {
  const options = use === 'tensors' ? { ...COMMON_OPTIONS, ...TENSOR_OPTIONS } : COMMON_OPTIONS;
  return new RenewingChannel(address, options);
}

/** Makes a typed client whose failed calls throw MeshError. */
export function createMeshClient<Service extends TsProtoServiceDefinition>(
  definition: Service,
  channel: Channel,
): Client<Service> {
  return createClientFactory().use(statusToErrorMiddleware).create(definition, channel);
}
