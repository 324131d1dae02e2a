import { isDeepStrictEqual } from 'node:util';
import { type Static, Type } from 'typebox';
import Value from 'typebox/value';

/** One choice of an answer, joined from its chunks. */
export interface Choice {
  text: string;
  reasoning: string;
  finishReason: string | null;
  /** What OpenAI's chunks carry for each token: its text, log-probability and alternatives. */
  readonly logprobs: unknown[];
}

/** Tokens that an answer says it took; what a cache gave is not among them, it differs by run. */
export interface UsageCounts {
  readonly numPrompt: number;
  readonly numCompletion: number;
  readonly numReasoning: number;
}

/** A whole answer: everything in it that must be the same each time. */
export interface Answer {
  readonly choices: readonly Choice[];
  readonly usage: UsageCounts | undefined;
}

const chatChunk = Type.Object({
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      delta: Type.Object({
        content: Type.Optional(Type.String()),
        reasoning_content: Type.Optional(Type.String()),
      }),
      logprobs: Type.Union([Type.Null(), Type.Object({ content: Type.Array(Type.Unknown()) })]),
      finish_reason: Type.Union([Type.Null(), Type.String()]),
    }),
  ),
  usage: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Object({
        prompt_tokens: Type.Integer(),
        completion_tokens: Type.Integer(),
        completion_tokens_details: Type.Object({ reasoning_tokens: Type.Integer() }),
      }),
    ]),
  ),
});

const transcriptEvent = Type.Union([
  Type.Object({ type: Type.Literal('transcript.text.delta'), delta: Type.String() }),
  Type.Object({
    type: Type.Literal('transcript.text.done'),
    text: Type.String(),
    usage: Type.Object({ input_tokens: Type.Integer(), output_tokens: Type.Integer() }),
  }),
]);

const errorEvent = Type.Object({ error: Type.Object({ message: Type.String() }) });

/** Joins the events of a stream to an answer. */
export interface AnswerReader {
  readonly answer: Answer;
  /** Whether the stream has said that it is complete. */
  readonly isComplete: boolean;
  /** Reads the data of one event; returns whether it brought a token. Throws what it refuses. */
  read(data: string): boolean;
}

/** Reads a chat completion stream. */
export class ChatReader implements AnswerReader {
  isComplete = false;
  readonly #choices: Choice[] = [];
  #usage: UsageCounts | undefined;

  get answer(): Answer {
    return { choices: this.#choices, usage: this.#usage };
  }

  read(data: string): boolean {
    if (data === '[DONE]') {
      this.isComplete = true;
      return false;
    }
    const { choices, usage } = parsed(chatChunk, data);
    if (usage) {
      if (this.#usage !== undefined) throw new Error('usage came twice');
      this.#usage = {
        numPrompt: usage.prompt_tokens,
        numCompletion: usage.completion_tokens,
        numReasoning: usage.completion_tokens_details.reasoning_tokens,
      };
    }
    return choices.map((one) => this.#readChoice(one)).some((hasNews) => hasNews);
  }

  #readChoice(chunk: Static<typeof chatChunk>['choices'][number]): boolean {
    const { index, delta, logprobs, finish_reason: finishReason } = chunk;
    const { content = '', reasoning_content: reasoning = '' } = delta;
    this.#choices[index] ??= { text: '', reasoning: '', finishReason: null, logprobs: [] };
    const choice = this.#choices[index];
    const isLate = choice.finishReason !== null && (content !== '' || reasoning !== '');
    if (isLate) throw new Error(`choice ${index} went on after its finish`);
    choice.text += content;
    choice.reasoning += reasoning;
    choice.logprobs.push(...(logprobs?.content ?? []));
    choice.finishReason ??= finishReason;
    return content !== '' || reasoning !== '';
  }
}

/** Reads a transcription stream. */
export class TranscriptReader implements AnswerReader {
  isComplete = false;
  readonly #choice: Choice = { text: '', reasoning: '', finishReason: null, logprobs: [] };
  #usage: UsageCounts | undefined;

  get answer(): Answer {
    return { choices: [this.#choice], usage: this.#usage };
  }

  read(data: string): boolean {
    const event = parsed(transcriptEvent, data);
    if (event.type === 'transcript.text.delta') {
      this.#choice.text += event.delta;
      return true;
    }
    const { text, usage } = event;
    if (text !== this.#choice.text) throw new Error('the deltas are not the whole text');
    this.#usage = {
      numPrompt: usage.input_tokens,
      numCompletion: usage.output_tokens,
      numReasoning: 0,
    };
    this.isComplete = true;
    return false;
  }
}

/** Parses an event; throws the message of an error event. */
function parsed<S extends typeof chatChunk | typeof transcriptEvent>(
  schema: S,
  data: string,
): Static<S> {
  const value: unknown = JSON.parse(data);
  if (Value.Check(errorEvent, value)) throw new Error(`error event: ${value.error.message}`);
  return Value.Parse(schema, value);
}

/** Returns the first difference of an answer from the expected one, in words. */
export function differenceOf(answer: Answer, expected: Answer): string | undefined {
  for (const [index, want] of expected.choices.entries()) {
    const got = answer.choices[index];
    if (got === undefined) return `choice ${index} is missing`;
    for (const field of ['reasoning', 'text'] as const) {
      const difference = textDifference(got[field], want[field]);
      if (difference !== undefined) return `choice ${index}, ${field}: ${difference}`;
    }
    if (got.finishReason !== want.finishReason) {
      return `choice ${index}: finish reason ${got.finishReason}, not ${want.finishReason}`;
    }
    const at = want.logprobs.findIndex((one, i) => !isDeepStrictEqual(one, got.logprobs[i]));
    if (at !== -1 || got.logprobs.length !== want.logprobs.length) {
      return logprobDifference(got.logprobs, want.logprobs, { index, at });
    }
  }
  if (answer.choices.length !== expected.choices.length) return 'there are too many choices';
  if (isDeepStrictEqual(answer.usage, expected.usage)) return undefined;
  return `usage: ${JSON.stringify(answer.usage)}, not ${JSON.stringify(expected.usage)}`;
}

/** Characters shown around the first difference. */
const NUM_SHOWN = 30;

function textDifference(got: string, want: string): string | undefined {
  if (got === want) return undefined;
  let at = 0;
  while (at < Math.min(got.length, want.length) && got[at] === want[at]) at += 1;
  const shown = (text: string) =>
    JSON.stringify(text.slice(Math.max(0, at - NUM_SHOWN), at + NUM_SHOWN));
  const lengths = `${got.length} characters, not ${want.length}`;
  return `at character ${at}: ${shown(got)}, not ${shown(want)} (${lengths})`;
}

function logprobDifference(
  got: readonly unknown[],
  want: readonly unknown[],
  { index, at }: { readonly index: number; readonly at: number },
): string {
  const where = `choice ${index}, log-probabilities`;
  if (at === -1) return `${where}: ${got.length}, not ${want.length}`;
  return `${where} at token ${at}: ${JSON.stringify(got[at])}, not ${JSON.stringify(want[at])}`;
}
