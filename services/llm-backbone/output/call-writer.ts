import type { ChoiceEnd, Emit } from './output-stage.ts';

/**
 * Emits the content and the calls of one answer in order. White space around calls belongs to
 * neither: it only sets them apart.
 */
export class CallWriter {
  readonly #singleCall: boolean;
  #numCalls = 0;
  #heldSpace = '';
  #end: ChoiceEnd | null = null;

  /** `singleCall` ends the answer after its first call. */
  constructor(options: { readonly singleCall: boolean }) {
    this.#singleCall = options.singleCall;
  }

  get end(): ChoiceEnd | null {
    return this.#end;
  }

  content(text: string, emit: Emit): void {
    const whole = this.#heldSpace + text;
    const shown = whole.trimEnd();
    this.#heldSpace = whole.slice(shown.length);
    if (shown !== '') emit({ channel: 'content', text: shown });
  }

  /** Begins the next call. */
  open(name: string, emit: Emit): void {
    this.#heldSpace = '';
    const index = this.#numCalls++;
    emit({ channel: 'tool_call', text: '', call: { index, name } });
  }

  /** Continues the arguments of the call that was begun last. */
  argumentText(text: string, emit: Emit): void {
    if (text === '') return;
    const call = { index: this.#numCalls - 1, name: undefined };
    emit({ channel: 'tool_call', text, call });
  }

  /** Ends the call that was begun last. */
  close(): void {
    if (this.#singleCall) this.#end = { reason: 'stop' };
  }

  /** Emits white space at the end of an answer without calls. */
  flush(emit: Emit): void {
    if (this.#numCalls === 0 && this.#heldSpace !== '') {
      emit({ channel: 'content', text: this.#heldSpace });
    }
    this.#heldSpace = '';
  }
}
