import { answerText } from '#mesh/answer/answer-text.ts';

/** A file that belongs to a message; it is kept in the browser as it was sent. */
export interface Attachment {
  readonly kind: 'image' | 'audio';
  readonly name: string;
  /** Such as `image/png`. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of an image, pixels; 0 for a recording. */
  readonly width: number;
  readonly height: number;
}

export interface UserTurn {
  readonly role: 'user';
  readonly text: string;
  readonly attachments: readonly Attachment[];
  /** Whether the recording is to be written down instead of obeyed. */
  readonly isTranscription: boolean;
}

/** How an answer ended; `running` while it comes. */
export type AnswerEnd = 'running' | 'stop' | 'length' | 'stopped' | 'failed';

export interface AnswerTurn {
  readonly role: 'assistant';
  readonly reasoning: string;
  readonly content: string;
  readonly end: AnswerEnd;
  /** Why it failed; empty if it did not. */
  readonly error: string;
  /** Milliseconds until the first token and until the end; undefined until known. */
  readonly ttftMs: number | undefined;
  readonly totalMs: number | undefined;
  readonly numTokens: number | undefined;
  readonly requestId: string;
}

export type Turn = UserTurn | AnswerTurn;

export interface Conversation {
  readonly id: string;
  /** When it was changed last, Unix milliseconds. */
  readonly changedMs: number;
  readonly turns: readonly Turn[];
}

export interface ChatOptions {
  readonly model: string;
  /** What the model is told before everything; empty: nothing. */
  readonly system: string;
  readonly isThinking: boolean;
  readonly temperature: number;
  /** Undefined: as many as fit. */
  readonly maxTokens: number | undefined;
}

export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
  | {
      readonly type: 'input_audio';
      readonly input_audio: { readonly format: string; readonly data: string };
    };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ContentPart[];
}

/** The body of a request to `/v1/chat/completions`. */
export interface ChatBody {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly temperature: number;
  readonly max_tokens?: number;
  readonly stream: true;
  readonly stream_options: { readonly include_usage: true };
  readonly enable_thinking: boolean;
  readonly return_reasoning: true;
}

/** How the bytes of an attachment are written into a body. */
export type WriteBytes = (attachment: Attachment) => string;

/**
 * Returns the body that asks for the next answer. Answers that failed are left out, and so are
 * recordings that were only written down.
 */
export function chatBody(
  turns: readonly Turn[],
  options: ChatOptions,
  write: WriteBytes,
): ChatBody {
  const { model, system, isThinking, temperature, maxTokens } = options;
  const messages = sentTurns(turns).map((turn) => messageOf(turn, write));
  const told: ChatMessage[] = system === '' ? [] : [{ role: 'system', content: system }];
  return {
    model,
    messages: [...told, ...messages],
    temperature,
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    stream: true,
    stream_options: { include_usage: true },
    enable_thinking: isThinking,
    return_reasoning: true,
  };
}

function sentTurns(turns: readonly Turn[]): Turn[] {
  return turns.filter((turn, index) => {
    if (turn.role === 'user') return !turn.isTranscription && !isFailed(turns[index + 1]);
    const question = turns[index - 1];
    const isAnswer = question?.role === 'user' && !question.isTranscription;
    return isAnswer && turn.content !== '' && !isFailed(turn);
  });
}

function isFailed(turn: Turn | undefined): boolean {
  return turn?.role === 'assistant' && turn.end === 'failed';
}

function messageOf(turn: Turn, write: WriteBytes): ChatMessage {
  if (turn.role === 'assistant') return { role: 'assistant', content: turn.content };
  if (turn.attachments.length === 0) return { role: 'user', content: turn.text };
  const media = turn.attachments.map((one) => mediaPart(one, write));
  const text: ContentPart[] = turn.text === '' ? [] : [{ type: 'text', text: turn.text }];
  return { role: 'user', content: [...media, ...text] };
}

function mediaPart(attachment: Attachment, write: WriteBytes): ContentPart {
  const { kind, type } = attachment;
  const data = write(attachment);
  if (kind === 'image') {
    return { type: 'image_url', image_url: { url: `data:${type};base64,${data}` } };
  }
  return { type: 'input_audio', input_audio: { format: 'wav', data } };
}

/** Returns the latest screenshot up to a turn: what an action of that turn is about. */
export function screenshotBefore(turns: readonly Turn[], index: number): Attachment | undefined {
  const images = turns
    .slice(0, index)
    .flatMap((turn) => (turn.role === 'user' ? turn.attachments : []))
    .filter(({ kind }) => kind === 'image');
  return images.at(-1);
}

/** Returns what a list of conversations shows of one: the beginning of its first text. */
export function titleOf({ turns }: Pick<Conversation, 'turns'>): string {
  const texts = turns.flatMap((turn) => {
    if (turn.role === 'user') return turn.text;
    return answerText(turn.content, { isUnfinished: turn.end !== 'stop' }).words;
  });
  const [first = ''] = texts.filter((text) => text !== '');
  return first.length > 60 ? `${first.slice(0, 60)}…` : first;
}
