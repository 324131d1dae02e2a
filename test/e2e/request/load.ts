import { type Body, type StreamedAnswer, streamAnswer, userMessage } from './chat-request.ts';

export interface LoadOptions {
  readonly url: string;
  readonly numStreams: number;
  /** When it aborts, no further stream starts and the running streams are finished. */
  readonly until: AbortSignal;
  /** Called at the first chunk of every answer. */
  readonly onFirstChunk?: () => void;
}

/** Request whose answer is long enough to be interrupted in the middle. */
export const LONG_ANSWER: Body = {
  messages: userMessage('Who are you?'),
  ignore_eos: true,
  max_tokens: 200,
  temperature: 1,
  seed: 7,
};

/** Keeps `numStreams` streams running; resolves to the outcome of each answer. */
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
