import { type ErrorReason, isErrorReason, MeshError } from '#mesh/errors.ts';
import type { FileFacts } from '../media-reader.ts';

/** What an encoder asks a decoder process: the file's bytes come with `open`. */
export type DecoderRequest = { readonly kind: 'open' } | { readonly kind: 'load' };

/** What a decoder process answers: the decoded bytes come with `loaded`. */
export type DecoderReply =
  | { readonly kind: 'opened'; readonly facts: FileFacts; readonly durationMs: number }
  | { readonly kind: 'loaded' }
  | { readonly kind: 'refused'; readonly reason: ErrorReason; readonly message: string };

/** Returns what a decoder process said; it may be in the hands of the file that it reads. */
export function parseReply(value: unknown): DecoderReply {
  const kind = field(value, 'kind');
  if (kind === 'loaded') return { kind };
  if (kind === 'opened') {
    return {
      kind,
      facts: parseFacts(field(value, 'facts')),
      durationMs: count(value, 'durationMs'),
    };
  }
  const [reason, message] = [String(field(value, 'reason')), String(field(value, 'message'))];
  if (kind === 'refused' && isErrorReason(reason)) return { kind, reason, message };
  throw notUnderstood();
}

function parseFacts(value: unknown): FileFacts {
  const kind = field(value, 'kind');
  if (kind === 'image') {
    return { kind, width: count(value, 'width'), height: count(value, 'height') };
  }
  if (kind !== 'audio') throw notUnderstood();
  const [numSamples, sampleRateHz] = [count(value, 'numSamples'), count(value, 'sampleRateHz')];
  return { kind, numSamples, sampleRateHz };
}

function field(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}

function count(value: unknown, key: string): number {
  const number = field(value, key);
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw notUnderstood();
}

function notUnderstood(): MeshError {
  return new MeshError('ENGINE_FAILED', 'the decoder process answered what is no answer');
}
