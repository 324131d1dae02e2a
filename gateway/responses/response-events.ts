import type { AnswerEvent } from '#gateway/openai/answer/event.ts';
import { errorBody } from '#gateway/openai/error-body.ts';
import { jsonInTurns } from '#mesh/async/json-in-turns.ts';
import type { MeshError } from '#mesh/errors.ts';
import type { ItemEvent } from './output-items.ts';
import type { ResponseForm } from './response-form.ts';
import { ResponseWriter } from './response-writer.ts';

/** Writes the stream of a response: events with names and numbers. */
export class ResponseEvents {
  readonly #writer: ResponseWriter;
  readonly #hasLogprobs: boolean;
  #numEvents = 0;

  constructor(form: ResponseForm, model: string) {
    this.#hasLogprobs = form.hasLogprobs;
    this.#writer = new ResponseWriter(form, model);
  }

  /** Returns the frames of one event; "" if it has no news. */
  write(event: AnswerEvent): string {
    return this.#frames(this.#writer.write(event));
  }

  /** Returns the end of a complete stream, whose events repeat the scores of all tokens. */
  end(): string | Promise<string> {
    const { events } = this.#writer.end();
    return this.#hasLogprobs ? this.#framesInTurns(events) : this.#frames(events);
  }

  /** Returns the end of a stream that broke off after its first event. */
  fail(failure: MeshError): string {
    return this.#frames([this.#writer.fail(failure)]);
  }

  #frames(events: readonly ItemEvent[]): string {
    return events.map((event) => eventFrame(event, this.#numEvents++)).join('');
  }

  async #framesInTurns(events: readonly ItemEvent[]): Promise<string> {
    let frames = '';
    for (const event of events) {
      const json = await jsonInTurns(numbered(event, this.#numEvents++));
      frames += frameOf(event.type, String(json));
    }
    return frames;
  }
}

/** Writes a failure as an event that belongs to no response. */
export function errorFrame(failure: MeshError): string {
  const { code, message, param, doc } = errorBody(failure).error;
  return eventFrame({ type: 'error', code, message, param, doc }, 0);
}

function eventFrame(event: ItemEvent, sequenceNumber: number): string {
  return frameOf(event.type, JSON.stringify(numbered(event, sequenceNumber)));
}

function numbered({ type, ...event }: ItemEvent, sequenceNumber: number) {
  return { type, sequence_number: sequenceNumber, ...event };
}

function frameOf(type: string, json: string): string {
  return `event: ${type}\ndata: ${json}\n\n`;
}
