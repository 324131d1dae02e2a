import type { Answer } from '#gateway/openai/answer/answer.ts';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';

/** Receives the events of all generations of an answer as they come. */
export interface AnswerWriter<Last> {
  /**
   * Takes one event of the start at `index`; returns the frames to send, which may be none. A promise
   * holds that generation up, so no event but `accepted` should take one.
   */
  write(event: GenerateEvent, index: number): string | Promise<string>;
  /** What completes the answer: the last frames, or the body. */
  end(): Last;
}

/** Gathers each generation in its answer; `body` writes them once all have ended. */
export function gathered<Body>(answers: readonly Answer[], body: () => Body): AnswerWriter<Body> {
  return {
    write: (event, index) => {
      answers[index]?.add(event);
      return '';
    },
    end: body,
  };
}
