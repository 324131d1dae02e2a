import type { AnswerForm } from './answer-form.ts';
import { ChunkFrame } from './chunk-frame.ts';
import { CompletionChunks } from './completion-chunks.ts';
import type { Echo } from './echo.ts';
import type { Envelope } from './envelope.ts';
import type { AnswerEvent } from './event.ts';
import { totalUsage, UsageMeter } from './usage.ts';

export interface CompletionStreamOptions {
  readonly envelope: Envelope;
  readonly form: AnswerForm;
  readonly numPrompts: number;
}

/** Writes a text completion stream: the chunks of all prompts as they come, usage, [DONE]. */
export class CompletionStream {
  readonly #frame: ChunkFrame;
  readonly #meters: readonly UsageMeter[];
  readonly #chunks: readonly CompletionChunks[];
  readonly #usage = () => totalUsage(this.#meters);

  constructor({ envelope, form, numPrompts }: CompletionStreamOptions) {
    const frame = new ChunkFrame('text_completion', envelope, form.streamUsage);
    this.#frame = frame;
    this.#meters = Array.from({ length: numPrompts }, () => new UsageMeter());
    this.#chunks = this.#meters.map((meter, prompt) => {
      const firstIndex = prompt * form.numChoices;
      return new CompletionChunks({ frame, form, firstIndex, meter, usage: this.#usage });
    });
  }

  /** Sets a prompt's echo; call it before the prompt's first event is written. */
  setEcho(echo: Echo, prompt: number): void {
    this.#chunks[prompt]?.setEcho(echo);
  }

  /** Returns the frames of one event of a prompt's generation; "" if it has no news. */
  write(event: AnswerEvent, prompt: number): string | Promise<string> {
    return this.#chunks[prompt]?.write(event) ?? '';
  }

  end(): string {
    return this.#frame.end(this.#usage);
  }
}
