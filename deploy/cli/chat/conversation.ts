import type { ChatTurn } from './chat-client.ts';
import type { ContentPart } from './media-part.ts';

/**
 * The messages of a chat. A question stays only together with its whole answer, so that a broken
 * one does not spoil what is asked next.
 */
export class Conversation {
  readonly #opening: readonly ChatTurn[];
  #messages: readonly ChatTurn[];
  /** Pictures and recordings that the next question has. */
  #media: readonly ContentPart[] = [];

  constructor(system: string | undefined) {
    this.#opening = system === undefined ? [] : [{ role: 'system', content: system }];
    this.#messages = this.#opening;
  }

  get numMedia(): number {
    return this.#media.length;
  }

  /** Forgets everything but the system message. */
  reset(): void {
    this.#messages = this.#opening;
    this.#media = [];
  }

  attach(part: ContentPart): void {
    this.#media = [...this.#media, part];
  }

  /** Returns the messages to send for a question, and takes the attached media into it. */
  ask(text: string): readonly ChatTurn[] {
    const parts = text === '' ? this.#media : [...this.#media, { type: 'text' as const, text }];
    const content = this.#media.length === 0 ? text : parts;
    this.#media = [];
    return [...this.#messages, { role: 'user', content }];
  }

  /** Keeps messages that were sent, with the answer to them. */
  keep(messages: readonly ChatTurn[], answer: string): void {
    this.#messages = [...messages, { role: 'assistant', content: answer }];
  }
}
