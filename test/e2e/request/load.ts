import { type Body, type StreamedAnswer, streamAnswer, userMessage } from './chat-request.ts';

export interface LoadOptions {
  readonly url: string;
  readonly numStreams: number;
  /** Streams start anew until it aborts; those that run then are finished. */
  readonly until: AbortSignal;
  /** Called at the first chunk of every answer. */
  readonly onFirstChunk?: () => void;
}

/** An answer long enough to be caught in the middle. */
export const LONG_ANSWER: Body = {
  messages: userMessage('Who are you?'),
  ignore_eos: true,
  max_tokens: 200,
  temperature: 1,
  seed: 7,
};

/** Keeps `numStreams` streams running; resolves to how each answer went. */
export async function runLoad(options: LoadOptions): Promise<StreamedAnswer[]> {
  const { url, numStreams, until, onFirstChunk = () => {} } = options;
  const answers: StreamedAnswer[] = [];
  const keepAsking = async () => {
    while (!until.aborted) {
      let isFirst = true;
      const answer = await streamAnswer(url, LONG_ANSWER, () => {
        if (isFirst) onFirstChunk();
        isFirst = false;
      });
      answers.push(answer);
    }
  };
  await Promise.all(Array.from({ length: numStreams }, keepAsking));
  return answers;
}
