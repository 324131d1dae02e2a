import { Channel } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { dataFrame } from './chunk-frame.ts';
import type { AnswerEvent } from './event.ts';
import { transcriptionUsage } from './transcription-usage.ts';
import { UsageMeter } from './usage.ts';

/** Writes a transcription stream: deltas, then the whole text, which marks a complete stream. */
export class TranscriptionEvents {
  readonly #meter = new UsageMeter();
  #text = '';

  /** Returns the frames of one event; "" if it has no news. */
  write(event: AnswerEvent): string {
    this.#meter.observe(event);
    if (event.$case !== 'delta') return '';
    const delta = event.value.choices
      .filter(({ channel }) => channel !== Channel.CHANNEL_REASONING)
      .map(({ text }) => text)
      .join('');
    if (delta === '') return '';
    this.#text += delta;
    return dataFrame({ type: 'transcript.text.delta', delta });
  }

  end(): string {
    const usage = transcriptionUsage(this.#meter);
    return dataFrame({ type: 'transcript.text.done', text: this.#text, usage });
  }
}
