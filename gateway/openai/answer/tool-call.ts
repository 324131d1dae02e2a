import { randomUUID } from 'node:crypto';

const ID_DIGITS = 24;

/** A call of a tool in an answer. */
export interface AnsweredCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; arguments: string };
}

/** Returns a new name for a call, by which its result is told apart in the client's next request. */
export function createCallId(): string {
  return `call_${randomUUID().replaceAll('-', '').slice(0, ID_DIGITS)}`;
}
