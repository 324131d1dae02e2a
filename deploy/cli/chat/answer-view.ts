import { answerText } from '#mesh/answer/answer-text.ts';
import { type PhoneAction, parseAction } from '#mesh/answer/phone-action.ts';

/** Shows one answer as it comes. */
export interface AnswerView {
  /** Returns what to print when more of the answer has come. */
  take(piece: string): string;
  /** Returns what to print when nothing more comes; `isWhole` says whether the answer has ended. */
  end(isWhole: boolean): string;
}

/** Prints an answer as the model wrote it: for programs. */
export class RawAnswer implements AnswerView {
  take(piece: string): string {
    return piece;
  }

  end(): string {
    return '\n';
  }
}

/** Beginnings of an action, which is told in words when it is whole. */
const ACTION = /^(?:do|finish)\s*\(/;
const ACTION_HEADS = ['do(', 'finish('];

const DIM = '\u001b[2m';
const UNDIM = '\u001b[22m';

/** Line breaks and tabs are the only ones that a text needs; others command the terminal. */
const CONTROL_CHARS = /(?![\n\t])\p{Cc}/gu;

/** Prints an answer for people: thoughts apart from what is said, and the action in words. */
export class WordedAnswer implements AnswerView {
  readonly #isColoured: boolean;
  #content = '';
  /** What has been printed of either. */
  #thoughts = '';
  #words = '';

  constructor({ isColoured }: { readonly isColoured: boolean }) {
    this.#isColoured = isColoured;
  }

  take(piece: string): string {
    this.#content += piece.replaceAll(CONTROL_CHARS, '');
    return this.#rest({ isUnfinished: true });
  }

  end(isWhole: boolean): string {
    const rest = this.#rest({ isUnfinished: !isWhole });
    const { words } = answerText(this.#content, { isUnfinished: !isWhole });
    const action = parseAction(words);
    const isHeld = words !== '' && this.#words === '';
    if (action === undefined) return `${rest}${isHeld ? this.#behind(words) : ''}\n`;
    const told = `→ ${actionWords(action)}`;
    return `${rest}${this.#words === '' ? this.#behind(told) : `\n${told}`}\n`;
  }

  /** Returns what has come and is not printed, except what may become an action. */
  #rest(state: { readonly isUnfinished: boolean }): string {
    const { thoughts, words } = answerText(this.#content, state);
    let text = '';
    // What looked like the words were thoughts, if their first tag stood in the prompt.
    if (this.#words !== '' && !words.startsWith(this.#words)) {
      this.#thoughts = thoughts;
      this.#words = '';
    }
    if (thoughts.length > this.#thoughts.length) {
      text += this.#dimmed(thoughts.slice(this.#thoughts.length));
      this.#thoughts = thoughts;
    }
    if (words.length > this.#words.length && !mayBeAction(words)) {
      const rest = words.slice(this.#words.length);
      text += this.#words === '' ? this.#behind(rest) : rest;
      this.#words = words;
    }
    return text;
  }

  /** Puts the first words below the thoughts. */
  #behind(words: string): string {
    return this.#thoughts === '' ? words : `\n${words}`;
  }

  #dimmed(text: string): string {
    return this.#isColoured ? `${DIM}${text}${UNDIM}` : text;
  }
}

function mayBeAction(words: string): boolean {
  return ACTION.test(words) || ACTION_HEADS.some((head) => head.startsWith(words));
}

/** Says what a phone agent wants to do; places are thousandths of the screen. */
export function actionWords(action: PhoneAction): string {
  switch (action.kind) {
    case 'point':
      return `${action.name} at ${action.at.x}, ${action.at.y} of 1000`;
    case 'swipe': {
      const { name, from, to } = action;
      return `${name} from ${from.x}, ${from.y} to ${to.x}, ${to.y} of 1000`;
    }
    case 'other':
      return action.detail === '' ? action.name : `${action.name}: ${action.detail}`;
  }
}
