import type { SendMessage } from '#mesh/grpc/message-senders.ts';
import type { ChoiceDelta, Delta, GenerateResponse } from '#protos/autoglm/llm/v1/llm_backbone.ts';

/** Most tokens of one delta message while a reader lags. */
const MAX_DELTA_TOKENS = 512;

type Event = NonNullable<GenerateResponse['event']>;

/**
 * Holds the responses that one request's reader has not taken. The writer never waits: while the
 * reader lags, deltas are merged, so the request's tokens bound the memory held. Deltas behind the
 * first one are held back until one of their choices has `interval` tokens or ends, or something
 * else follows.
 */
export class ResponseQueue {
  readonly #interval: number;
  #events: Event[] = [];
  #hasSentDelta = false;
  #error: Error | null = null;
  #isEnded = false;
  #wake: () => void = () => {};

  /** `interval`: tokens of a choice that make a delta. */
  constructor(interval = 1) {
    this.#interval = interval;
  }

  push(event: Event): void {
    const last = this.#events.at(-1);
    if (event.$case === 'delta' && last?.$case === 'delta' && canGrow(last.value)) {
      for (const choice of event.value.choices) mergeChoice(last.value, choice);
    } else {
      this.#events.push(event);
    }
    if (!this.#isHeldBack) this.#wake();
  }

  /** Tells whether all that there is may wait for more tokens. */
  get #isHeldBack(): boolean {
    if (this.#interval === 1 || !this.#hasSentDelta || this.#events.length !== 1) return false;
    const [event] = this.#events;
    if (event?.$case !== 'delta' || this.#isEnded || this.#error !== null) return false;
    const isDue = ({ index, finish }: ChoiceDelta) =>
      finish !== undefined || numTokensOf(event.value, index) >= this.#interval;
    return !event.value.choices.some(isDue);
  }

  /** Ends the stream after the held responses. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  /** Ends the stream with an error after the held responses. */
  fail(error: Error): void {
    this.#error ??= error;
    this.#wake();
  }

  /**
   * Sends events until the end, one after another; rejects with the error, or the abort reason. An event
   * that comes while nothing is under way is sent at once.
   */
  sendAll(send: SendMessage<GenerateResponse>, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      let isBusy = false;
      // A look at the signal itself costs as much as the rest.
      let isOver = false;
      const onAbort = () => end(signal.reason);
      const end = (error: unknown) => {
        isOver = true;
        signal.removeEventListener('abort', onAbort);
        if (error === null) resolve();
        else reject(error);
      };
      const onSent = () => {
        isBusy = false;
        flow();
      };
      const flow = () => {
        if (isBusy || isOver) return;
        const event = this.#next();
        if (event !== undefined) {
          isBusy = true;
          send({ event }, onSent);
        } else if (this.#error !== null || this.#isEnded) end(this.#error);
      };
      signal.addEventListener('abort', onAbort);
      this.#wake = flow;
      if (signal.aborted) onAbort();
      else flow();
    });
  }

  /** Takes the next event that is not held back. */
  #next(): Event | undefined {
    const event = this.#isHeldBack ? undefined : this.#events.shift();
    this.#hasSentDelta ||= event?.$case === 'delta';
    return event;
  }

  /** Takes events until the end; throws the error, or the abort reason. */
  async *read(signal: AbortSignal): AsyncGenerator<GenerateResponse> {
    // A look at the signal itself costs as much as the rest of a turn.
    let isAborted = signal.aborted;
    const onAbort = () => {
      isAborted = true;
      this.#wake();
    };
    signal.addEventListener('abort', onAbort);
    try {
      while (!isAborted) {
        const event = this.#next();
        if (event !== undefined) {
          yield { event };
          continue;
        }
        if (this.#error !== null) throw this.#error;
        if (this.#isEnded) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }
}

/** Returns how many tokens of a choice a delta has. */
function numTokensOf({ choices }: Delta, index: number): number {
  const own = choices.filter((choice) => choice.index === index);
  return own.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0);
}

function canGrow(delta: Delta): boolean {
  const numTokens = delta.choices.reduce((sum, choice) => sum + choice.tokenIds.length, 0);
  return numTokens < MAX_DELTA_TOKENS;
}

/** Merges a choice's entry into its last one if both are of one channel and call. */
function mergeChoice(delta: Delta, added: ChoiceDelta): void {
  const last = delta.choices.findLast((choice) => choice.index === added.index);
  if (last === undefined || !canJoin(last, added)) {
    delta.choices.push(added);
    return;
  }
  if (isBlank(last)) {
    last.channel = added.channel;
    last.toolCall = added.toolCall;
  }
  last.text += added.text;
  last.tokenIds.push(...added.tokenIds);
  last.logprobs.push(...added.logprobs);
  last.finish = added.finish;
}

function canJoin(last: ChoiceDelta, added: ChoiceDelta): boolean {
  if (isBlank(last) || isBlank(added)) return true;
  return last.channel === added.channel && last.toolCall?.index === added.toolCall?.index;
}

/** Tells whether an entry says nothing, so that it fits any channel. */
function isBlank({ text, toolCall }: ChoiceDelta): boolean {
  return text === '' && toolCall === undefined;
}
