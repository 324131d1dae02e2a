import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import type { EncoderStub } from '#mesh/encode/encoder-call.ts';
import { createMeshClient } from '#mesh/grpc/grpc-client.ts';
import type { Log } from '#mesh/log/log.ts';
import { ENCODER_NAMES, type MediaModality, WIRE_MODALITIES } from '#mesh/modality.ts';
import type { Peer, PeerKind } from '#mesh/peers/peer.ts';
import type { GetModelResponse } from '#protos/autoglm/encoder/v1/encoder.ts';
import type { DeviceRows } from './device-rows.ts';
import { openRowReader, type RowReader } from './row-reader.ts';

/** The checkpoint that an encoder must belong to. */
export interface ExpectedModel {
  readonly modelId: string;
  readonly fingerprint: string;
  /** Width of an embedding row. */
  readonly hiddenSize: number;
}

/** An encoder's model, and what reads rows out of that run's memory, if this process can. */
export interface EncoderModel extends GetModelResponse {
  readonly reader: RowReader | undefined;
}

/** An encoder that items can be sent to. */
export type EncoderPeer = Peer<EncoderStub, EncoderModel>;

export interface EncoderKindOptions {
  readonly modality: MediaModality;
  /** The checkpoint that the encoders must be of. */
  readonly expected: ExpectedModel;
  /** Whether rows may come through shared memory. */
  readonly isSharing: boolean;
  /** Where rows of an encoder's GPU go; undefined: nowhere. */
  readonly deviceRows: DeviceRows | undefined;
  readonly log: Log;
}

/** Describes the encoders of one modality. */
export function encoderKind({
  modality,
  expected,
  isSharing,
  deviceRows,
  log,
}: EncoderKindOptions): PeerKind<EncoderStub, EncoderModel> {
  const title = ENCODER_NAMES[modality];
  return {
    title,
    channelUse: 'tensors',
    open: (channel) => createMeshClient(encoderServiceDefinition, channel),
    describe: async (stub, signal) => {
      const model = await stub.getModel({}, { signal });
      const reader = isSharing
        ? openRowReader(model.sharedMemory, { title, log, deviceRows })
        : undefined;
      return { ...model, reader };
    },
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
