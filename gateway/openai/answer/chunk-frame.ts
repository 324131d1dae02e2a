import type { StreamUsage } from './answer-form.ts';
import type { Envelope } from './envelope.ts';
import type { Usage } from './usage.ts';

export const DONE_FRAME = 'data: [DONE]\n\n';

/** Writes one server-sent event. */
export function dataFrame(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

/**
 * Writes the chunks of one stream as server-sent events. Their common parts are serialized once, so
 * that a token costs only the serialization of its own text.
 */
export class ChunkFrame {
  readonly #prefix: string;
  readonly #streamUsage: StreamUsage;

  constructor(object: string, envelope: Envelope, streamUsage: StreamUsage) {
    const { id, created, model, system_fingerprint } = envelope;
    const head = JSON.stringify({ id, object, created, model, system_fingerprint });
    this.#prefix = `data: ${head.slice(0, -1)},"choices":[`;
    this.#streamUsage = streamUsage;
  }

  /**
   * Returns a chunk with one choice and more fields, both given as JSON; calls `usage` only if
   * chunks carry it.
   */
  chunk(choice: string, usage: () => Usage, extras = ''): string {
    const { isContinuous, isFinal } = this.#streamUsage;
    const head = `${this.#prefix}${choice}]${extras}`;
    if (isContinuous) return `${head},"usage":${JSON.stringify(usage())}}\n\n`;
    return `${head}${isFinal ? ',"usage":null' : ''}}\n\n`;
  }

  /** Returns the end of a complete stream. */
  end(usage: () => Usage): string {
    if (!this.#streamUsage.isFinal) return DONE_FRAME;
    return `${this.#prefix}],"usage":${JSON.stringify(usage())}}\n\n${DONE_FRAME}`;
  }
}
