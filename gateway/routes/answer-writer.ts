import type { ReplyRecorder } from '#gateway/degradation/reply-recorder.ts';
import type { Answer } from '#gateway/openai/answer/answer.ts';
import type { GenerateEvent } from '#gateway/routing/generate-call.ts';

/** Receives the events of all generations of an answer as they come. */
export interface AnswerWriter<Last> {
  /**
   * Takes one event of the start at `index`; returns the frames to send, maybe none. A promise
   * delays that generation, so only an event of its prompt should return one.
   */
  write(event: GenerateEvent, index: number): string | Promise<string>;
  /** Returns the rest of the answer: the last frames, or the body. */
  end(): Last | Promise<Last>;
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

/** Notes every event before it is written. */
export function recorded<Last>(
  writer: AnswerWriter<Last>,
  recorder: ReplyRecorder,
): AnswerWriter<Last> {
  return {
    write: (event, index) => {
      recorder.add(event, index);
      return writer.write(event, index);
    },
    end: () => writer.end(),
  };
}

/**
 * Keeps frames back until the first token or the end of a generation, so that nothing is sent of an
 * answer that is lost before.
 */
export function heldBack<Last>(writer: AnswerWriter<Last>): AnswerWriter<Last> {
  let held = '';
  const hold = (frames: string) => {
    held += frames;
    return '';
  };
  const release = (frames: string) => {
    const all = held + frames;
    held = '';
    return all;
  };
  return {
    write: (event, index) => {
      const pass = event.$case === 'delta' || event.$case === 'finished' ? release : hold;
      const written = writer.write(event, index);
      return typeof written === 'string' ? pass(written) : written.then(pass);
    },
    end: () => writer.end(),
  };
}
