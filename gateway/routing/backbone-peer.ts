import type { Client } from 'nice-grpc';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import type { Peer, PeerKind } from '#mesh/peers/peer.ts';
import {
  type GetModelResponse,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { GenerateCaller } from './generate-call.ts';

/** The clients with which a backbone is called. */
export interface BackboneCalls {
  readonly backbone: Client<typeof LlmBackboneServiceDefinition>;
  readonly generation: GenerateCaller;
}

/** A backbone that requests may be sent to. */
export type BackbonePeer = Peer<BackboneCalls, GetModelResponse>;

export const BACKBONE_KIND: PeerKind<BackboneCalls, GetModelResponse> = {
  title: 'LLM backbone',
  channelUse: 'tokens',
  open: (channel, address) => ({
    backbone: createMeshClient(LlmBackboneServiceDefinition, channel),
    generation: new GenerateCaller(address),
  }),
  close: ({ generation }) => generation.close(),
  describe: ({ backbone }, signal) => backbone.getModel({}, { signal }),
  nameOf: ({ servedNames }) => servedNames[0],
};

type Facts = BackbonePeer['facts'];

/** Tells whether endpoints with these facts give the same bits; not if one does not tell. */
export function giveSameBits(a: Facts, b: Facts): boolean {
  return a !== undefined && b !== undefined && bitsOf(a) === bitsOf(b);
}

/** Returns what decides the bits of an endpoint's answers, as text. */
function bitsOf({ version, fingerprint, numerics }: NonNullable<Facts>): string {
  return JSON.stringify([version, fingerprint, numerics]);
}
