import type { Answer } from '#gateway/openai/answer/answer.ts';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';

/** Receives the events of all generations of an answer as they come. */
export interface AnswerWriter<Last> {
  /**
   * Takes one event of the start at `index`; returns the frames to send, maybe none. A promise
   * delays that generation, so only an `accepted` event should return one.
   */
  write(event: GenerateEvent, index: number): string | Promise<string>;
  /** Returns the rest of the answer: the last frames, or the body. */
  end(): Last;
}

/** Gathers each generation in its answer; `body` writes them when all have ended. */
export function gathered<Body>(answers: readonly Answer[], body: () => Body): AnswerWriter<Body> {
  return {
    write: (event, index) => {
      answers[index]?.add(event);
      return '';
    },
    end: body,
  };
}
