import { randomUUID } from 'node:crypto';

/** The fields that every part of one answer carries. */
export interface Envelope {
  readonly id: string;
  /** Unix time in seconds. */
  readonly created: number;
  /** Name of the model as the client wrote it. */
  readonly model: string;
  readonly system_fingerprint: string;
}

const FINGERPRINT_DIGITS = 10;

export function createEnvelope(
  idPrefix: 'chatcmpl' | 'cmpl' | 'embd',
  model: { readonly name: string; readonly fingerprint: string },
  /** The name that the client gave the request. */
  requestId = randomUUID().replaceAll('-', ''),
): Envelope {
  return {
    id: `${idPrefix}-${requestId}`,
    created: Math.floor(Date.now() / 1000),
    model: model.name,
    system_fingerprint: `fp_${model.fingerprint.slice(0, FINGERPRINT_DIGITS)}`,
  };
}
