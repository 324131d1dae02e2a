// Doubles an encoder service, which plays a script, and makes media that a backbone sends to it.

import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { encoderServiceDefinition } from '#mesh/encode/encode-response-codec.ts';
import { type MeshServer, startMeshServer } from '#mesh/grpc/grpc-server.ts';
import { Health } from '#mesh/grpc/health.ts';
import { MetricRegistry } from '#mesh/metrics.ts';
import { createInstanceService, type InstanceStatus } from '#mesh/process/instance.ts';
import { Modality } from '#protos/autoglm/common/v1/media.ts';
import { DType } from '#protos/autoglm/common/v1/tensor.ts';
import {
  type EncodeHeader,
  type EncodeRequest,
  EncodeResponse,
  GetModelResponse,
} from '#protos/autoglm/encoder/v1/encoder.ts';
import type { GenerateRequest } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { InstanceServiceDefinition } from '#protos/autoglm/mesh/v1/instance.ts';

/** Width of the fake decoder's rows. */
export const HIDDEN_SIZE = 64;

/** One call of `Encode`. */
export interface EncodeCall {
  readonly header: EncodeHeader;
  readonly bytes: Buffer;
  readonly signal: AbortSignal;
  /** Resolves when the caller has half-closed, or has refused rows in memory of a GPU. */
  readonly answered: () => Promise<'taken' | 'refused'>;
}

export type EncodeScript = (call: EncodeCall) => AsyncIterable<EncodeResponse>;

/** An encoder whose answers a test scripts; by default a vision encoder that answers correctly. */
export class FakeEncoder {
  /** Contents of the calls, in order. */
  readonly contents: string[] = [];
  readonly headers: EncodeHeader[] = [];
  numCancelled = 0;
  script: EncodeScript = encoded;
  model: Parameters<typeof GetModelResponse.fromPartial>[0] = {};
  /**
   * Set: it has the Watch call and pushes these facts; unset: it lacks Watch, as earlier encoders
   * do.
   */
  status: InstanceStatus | undefined;
  readonly health = new Health([encoderServiceDefinition.fullName]);
  #server: MeshServer | undefined;

  get address(): string {
    return this.#server?.address ?? '';
  }

  /** Serves a model of this fingerprint. */
  async start(
    fingerprint: string,
    where: { readonly modality?: Modality; readonly listen?: string } = {},
  ): Promise<this> {
    const { modality = Modality.MODALITY_IMAGE, listen = '127.0.0.1:0' } = where;
    const model = { modality, modelId: 'tiny', fingerprint, hiddenSize: HIDDEN_SIZE };
    this.health.setServing(true);
    this.#server = await startMeshServer({
      listen,
      log: pino({ level: 'silent' }),
      health: this.health,
      serviceNames: [],
      addServices: (server) => {
        server.add(encoderServiceDefinition, {
          encode: (requests, { signal }) => this.#encode(requests, signal),
          getModel: async () => GetModelResponse.fromPartial({ ...model, ...this.model }),
        });
        if (this.status === undefined) return;
        const instance = createInstanceService(this.status, new MetricRegistry());
        server.add(InstanceServiceDefinition, instance);
      },
    });
    return this;
  }

  async stop(): Promise<void> {
    await this.#server?.close(0);
  }

  async *#encode(requests: AsyncIterable<EncodeRequest>, signal: AbortSignal) {
    let header: EncodeHeader | undefined;
    const chunks: Buffer[] = [];
    // The rest of the call's requests is left to the end of the call.
    const upload = requests[Symbol.asyncIterator]();
    for (let next = await upload.next(); next.done !== true; next = await upload.next()) {
      const { event } = next.value;
      if (event?.$case === 'contentEnd') break;
      if (event?.$case === 'header') header = event.value;
      if (event?.$case === 'chunk') chunks.push(event.value);
    }
    if (header === undefined) throw new Error('no header');
    const bytes = Buffer.concat(chunks);
    this.headers.push(header);
    this.contents.push(bytes.toString());
    signal.addEventListener('abort', () => {
      this.numCancelled++;
    });
    const answered = async () => {
      for (;;) {
        const next = await upload.next();
        if (next.done === true) return 'taken';
        if (next.value.event?.$case === 'deviceRowsRefusal') return 'refused';
      }
    };
    yield* this.script({ header, bytes, signal, answered });
  }
}

/**
 * Returns the number of rows of an item: the number with which its content starts, as in `12 cats`.
 */
function numRowsOf(bytes: Buffer): number {
  return Number.parseInt(bytes.toString(), 10);
}

export function planOf({ bytes }: EncodeCall, numRows = numRowsOf(bytes)): EncodeResponse {
  const contentHash = createHash('sha256').update(bytes).digest();
  const value = {
    numRows,
    grid: { t: 1, h: 1, w: numRows },
    durationMs: 1000 * numRows,
    contentHash,
  };
  return EncodeResponse.fromPartial({ event: { $case: 'plan', value } });
}

/** Makes `numRows` rows; each value is the index of its row. */
export function rowsOf(
  firstRow: number,
  numRows: number,
  changes: { readonly width?: number; readonly dtype?: DType; readonly lostBytes?: number } = {},
): EncodeResponse {
  const { width = HIDDEN_SIZE, dtype = DType.D_TYPE_FLOAT32, lostBytes = 0 } = changes;
  const values = Float32Array.from(
    { length: numRows * width },
    (_, i) => firstRow + Math.floor(i / width),
  );
  const data = Buffer.from(values.buffer).subarray(0, values.byteLength - lostBytes);
  const rows = { dtype, shape: [numRows, width], data };
  return { event: { $case: 'rows', value: { firstRow, rows } } };
}

export const DONE: EncodeResponse = EncodeResponse.fromPartial({
  event: { $case: 'done', value: {} },
});

/** Answers without a failure: a plan, the rows in two messages, done. */
export async function* encoded(call: EncodeCall): AsyncGenerator<EncodeResponse> {
  const numRows = numRowsOf(call.bytes);
  yield planOf(call);
  yield rowsOf(0, 1);
  if (numRows > 1) yield rowsOf(1, numRows - 1);
  yield DONE;
}

/** Makes an item of a prompt by its content. */
export function mediaOf(content: string, modality: Modality = Modality.MODALITY_IMAGE) {
  const bytes = Buffer.from(content);
  const contentHash = createHash('sha256').update(bytes).digest();
  return { modality, contentHash, sizeBytes: bytes.length };
}

/** Makes the messages that carry the contents of items. */
export function chunksOf(contents: readonly string[]) {
  return contents.map((content, mediaIndex) => ({
    $case: 'mediaChunk' as const,
    value: { mediaIndex, data: Buffer.from(content) },
  })) satisfies NonNullable<GenerateRequest['event']>[];
}
