import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  GenerateResponse,
  LlmBackboneServiceDefinition,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';

const { methods } = LlmBackboneServiceDefinition;

/** Deltas are written to it one after another; it keeps room for the largest. */
let deltaWriter = new BinaryWriter();

/**
 * The service as the backbone answers it. It writes responses as they are, where nice-grpc would first
 * copy each one to fill in what may be missing from it: nothing is.
 */
export const servedDefinition = {
  ...LlmBackboneServiceDefinition,
  methods: {
    ...methods,
    generate: {
      ...methods.generate,
      responseType: { encode: encodeResponse, decode: GenerateResponse.decode },
    },
  },
} as const;

/** Writes a response; the caller finishes it before the next one. */
function encodeResponse(response: GenerateResponse): BinaryWriter {
  if (response.event?.$case !== 'delta') return GenerateResponse.encode(response);
  try {
    return GenerateResponse.encode(response, deltaWriter);
  } catch (error: unknown) {
    deltaWriter = new BinaryWriter();
    throw error;
  }
}
