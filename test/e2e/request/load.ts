import {
  type Body,
  onText,
  type StreamedAnswer,
  streamAnswer,
  userMessage,
} from './chat-request.ts';

export interface LoadOptions {
  readonly url: string;
  readonly numStreams: number;
  /** When it aborts, no further stream starts and the running streams are finished. */
  readonly until: AbortSignal;
  /** Length of an answer; unset: that of `LONG_ANSWER`. */
  readonly numTokens?: number;
  /** Called at the first text of every answer. */
  readonly onFirstText?: () => void;
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
  const { url, numStreams, until, numTokens, onFirstText = () => {} } = options;
  const body = numTokens === undefined ? LONG_ANSWER : { ...LONG_ANSWER, max_tokens: numTokens };
  const answers: StreamedAnswer[] = [];
  const keepAsking = async () => {
    while (!until.aborted) {
      let isFirst = true;
      const answer = await streamAnswer(
        url,
        body,
        onText(() => {
          if (isFirst) onFirstText();
          isFirst = false;
        }),
      );
      answers.push(answer);
    }
  };
  await Promise.all(Array.from({ length: numStreams }, keepAsking));
  return answers;
}
