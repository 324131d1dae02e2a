import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import type { EncoderStub } from '#mesh/encode/encoder-call.ts';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import { ENCODER_NAMES, type MediaModality, WIRE_MODALITIES } from '#mesh/modality.ts';
import type { Peer, PeerKind } from '#mesh/peers/peer.ts';
import type { GetModelResponse } from '#protos/autoglm/encoder/v1/encoder.ts';

/** The checkpoint that an encoder must belong to. */
export interface ExpectedModel {
  readonly modelId: string;
  readonly fingerprint: string;
  /** Width of an embedding row. */
  readonly hiddenSize: number;
}

/** An encoder that items can be sent to. */
export type EncoderPeer = Peer<EncoderStub, GetModelResponse>;

/** Describes the encoders of one modality, which must be of the expected checkpoint. */
export function encoderKind(
  modality: MediaModality,
  expected: ExpectedModel,
): PeerKind<EncoderStub, GetModelResponse> {
  return {
    title: ENCODER_NAMES[modality],
    channelUse: 'tensors',
    open: (channel) => createMeshClient(encoderServiceDefinition, channel),
    describe: (stub, signal) => stub.getModel({}, { signal }),
    mismatch: (model) => mismatchOf(model, expected, modality),
  };
}

/** Returns why the decoder cannot use the rows of this encoder, if so. */
function mismatchOf(
  encoder: GetModelResponse,
  expected: ExpectedModel,
  modality: MediaModality,
): string | undefined {
  if (encoder.modality !== WIRE_MODALITIES[modality]) return `it does not encode ${modality}`;
  if (encoder.fingerprint !== expected.fingerprint) {
    return `it runs ${encoder.modelId} with weights ${encoder.fingerprint}; this backbone runs ${expected.modelId} with weights ${expected.fingerprint}`;
  }
  if (encoder.hiddenSize === expected.hiddenSize) return undefined;
  return `its rows have ${encoder.hiddenSize} values; this backbone takes ${expected.hiddenSize}`;
}
