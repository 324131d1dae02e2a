import type { AnswerEvent } from '#gateway/openai/answer/event.ts';
import { errorBody } from '#gateway/openai/error-body.ts';
import type { MeshError } from '#mesh/errors.ts';
import type { ItemEvent } from './output-items.ts';
import type { ResponseForm } from './response-form.ts';
import { ResponseWriter } from './response-writer.ts';

/** Writes the stream of a response: events with names and numbers. */
export class ResponseEvents {
  readonly #writer: ResponseWriter;
  #numEvents = 0;

  constructor(form: ResponseForm, model: string) {
    this.#writer = new ResponseWriter(form, model);
  }

  /** Returns the frames of one event; "" if it has no news. */
  write(event: AnswerEvent): string {
    return this.#frames(this.#writer.write(event));
  }

  /** Returns the end of a complete stream. */
  end(): string {
    return this.#frames(this.#writer.end().events);
  }

  /** Returns the end of a stream that broke off after its first event. */
  fail(failure: MeshError): string {
    return this.#frames([this.#writer.fail(failure)]);
  }

  #frames(events: readonly ItemEvent[]): string {
    return events.map((event) => eventFrame(event, this.#numEvents++)).join('');
  }
}

/** Writes a failure as an event that belongs to no response. */
export function errorFrame(failure: MeshError): string {
  const { code, message, param, doc } = errorBody(failure).error;
  return eventFrame({ type: 'error', code, message, param, doc }, 0);
}

function eventFrame({ type, ...event }: ItemEvent, sequenceNumber: number): string {
  const json = JSON.stringify({ type, sequence_number: sequenceNumber, ...event });
  return `event: ${type}\ndata: ${json}\n\n`;
}
