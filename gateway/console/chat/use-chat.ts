import { useEffect, useRef, useState } from 'preact/hooks';
import { useText } from '../text/language.tsx';
import { EMPTY_ANSWER } from './answer.ts';
import { askForWords, askModel } from './ask-model.ts';
import type { AnswerTurn, ChatOptions, Conversation, Turn, UserTurn } from './conversation.ts';
import { History } from './history.ts';

export interface Chat {
  readonly conversation: Conversation;
  /** All that are kept, the last one first. */
  readonly kept: readonly Conversation[];
  /** Why none are kept; empty if they are. */
  readonly lostReason: string;
  readonly isRunning: boolean;
  ask(turn: UserTurn, options: ChatOptions): void;
  /** Asks again for the last answer. */
  repeat(options: ChatOptions): void;
  stop(): void;
  begin(): void;
  open(conversation: Conversation): void;
  forget(id: string): void;
  forgetAll(): void;
}

function freshConversation(): Conversation {
  // `randomUUID` is missing on pages without HTTPS.
  const [a = 0, b = 0] = crypto.getRandomValues(new Uint32Array(2));
  return { id: `${a.toString(36)}${b.toString(36)}`, changedMs: Date.now(), turns: [] };
}

/** The conversation that is shown, and those that are kept. */
export function useChat(onKeyNeeded: () => void): Chat {
  const say = useText();
  const [conversation, setConversation] = useState(freshConversation);
  const [kept, setKept] = useState<readonly Conversation[]>([]);
  const [lostReason, setLostReason] = useState('');
  const [running, setRunning] = useState<AbortController>();
  const history = useRef<History | undefined>(undefined);

  const update = async (change: (history: History) => Promise<void>) => {
    if (history.current === undefined) return;
    await change(history.current);
    setKept(await history.current.list());
  };
  const attempt = (work: Promise<void>) => {
    work.catch((error: unknown) => setLostReason(String(error)));
  };
  useEffect(() => {
    const open = async () => {
      history.current = await History.open();
      setKept(await history.current.list());
    };
    attempt(open());
  }, []);

  const answer = async (turns: readonly Turn[], options: ChatOptions) => {
    const question = turns.at(-1);
    if (question?.role !== 'user') return;
    const { id } = conversation;
    const controller = new AbortController();
    const { signal } = controller;
    setRunning(controller);
    const show = (turn: AnswerTurn): Conversation => {
      const shown = { id, changedMs: Date.now(), turns: [...turns, turn] };
      // Another conversation may have been opened meanwhile.
      setConversation((current) => (current.id === id ? shown : current));
      return shown;
    };
    show(EMPTY_ANSWER);
    const words = { cutOff: say('errorEmpty'), network: say('errorNetwork') };
    try {
      const end = question.isTranscription
        ? await transcribe(question, options, { signal, words })
        : await askModel(turns, options, { signal, words, onProgress: show });
      const shown = show(end);
      attempt(update((kept) => kept.keep(shown)));
    } catch {
      // Only a missing key is thrown; the question can be repeated with one.
      show({ ...EMPTY_ANSWER, end: 'failed', error: say('stateLocked') });
      onKeyNeeded();
    } finally {
      setRunning((current) => (current === controller ? undefined : current));
    }
  };

  const leave = () => running?.abort();
  return {
    conversation,
    kept,
    lostReason,
    isRunning: running !== undefined,
    ask: (turn, options) => void answer([...conversation.turns, turn], options),
    repeat: (options) => void answer(conversation.turns.slice(0, -1), options),
    stop: leave,
    begin: () => {
      leave();
      setConversation(freshConversation());
    },
    open: (one) => {
      leave();
      setConversation(one);
    },
    forget: (id) => {
      attempt(update((kept) => kept.forget(id)));
      if (id === conversation.id) setConversation(freshConversation());
    },
    forgetAll: () => {
      attempt(update((kept) => kept.clear()));
      setConversation(freshConversation());
    },
  };
}

function transcribe(
  { attachments }: UserTurn,
  { model }: ChatOptions,
  options: Parameters<typeof askForWords>[2],
): Promise<AnswerTurn> {
  const recording = attachments.find(({ kind }) => kind === 'audio');
  if (recording === undefined) throw new Error('a transcription has a recording');
  return askForWords(recording, model, options);
}
