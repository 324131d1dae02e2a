import type { AnswerEvent } from '#gateway/openai/answer/event.ts';
import { UsageMeter } from '#gateway/openai/answer/usage.ts';
import { docOf, ERRORS, MeshError } from '#mesh/errors.ts';
import { type ChoiceFinish, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { type ItemEvent, OutputItems } from './output-items.ts';
import type { ResponseForm } from './response-form.ts';
import {
  type ResponseHead,
  type ResponseState,
  responseHead,
  responseObject,
  responseUsage,
} from './response-object.ts';

/** A whole response, and the events that end its stream. */
interface CompleteResponse {
  readonly response: object;
  readonly events: readonly ItemEvent[];
}

/** Gathers one answer as a response. */
export class ResponseWriter {
  readonly #head: ResponseHead;
  readonly #items: OutputItems;
  readonly #meter = new UsageMeter();
  #finish: ChoiceFinish | undefined;

  /** Begins a response by the model of the name `model`. */
  constructor(form: ResponseForm, model: string) {
    this.#head = responseHead(form, model);
    this.#items = new OutputItems(form);
  }

  /** Returns the events of one event of the generation, without their numbers. */
  write(event: AnswerEvent): ItemEvent[] {
    this.#meter.observe(event);
    switch (event.$case) {
      case 'accepted': {
        const response = this.#response({ status: 'in_progress', output: [], usage: null });
        return ['response.created', 'response.in_progress'].map((type) => ({ type, response }));
      }
      case 'promptLogprobs':
      case 'embedding':
        return [];
      case 'delta':
        return event.value.choices.flatMap((entry) => this.#items.add(entry));
      case 'finished':
        this.#finish = event.value.choices[0];
        return [];
    }
  }

  /** Ends a complete answer: returns it whole, and the last events of its stream. */
  end(): CompleteResponse {
    if (this.#finish === undefined) {
      throw new MeshError('ENGINE_FAILED', 'the backbone did not say how the answer ended');
    }
    const isCut = this.#finish.reason === FinishReason.FINISH_REASON_LENGTH;
    const status = isCut ? 'incomplete' : 'completed';
    const events = this.#items.end(status);
    const usage = responseUsage(this.#meter);
    const response = this.#response({ status, output: this.#items.items, usage });
    return { response, events: [...events, { type: `response.${status}`, response }] };
  }

  /** Returns the last event of an answer that broke off. */
  fail(failure: MeshError): ItemEvent {
    this.#items.end('incomplete');
    const response = this.#response({
      status: 'failed',
      output: this.#items.items,
      usage: responseUsage(this.#meter),
      error: {
        code: failureCode(failure),
        message: failure.message,
        doc: docOf(failure.reason),
      },
    });
    return { type: 'response.failed', response };
  }

  #response(state: ResponseState) {
    return responseObject(this.#head, state);
  }
}

/** Returns OpenAI's word for a failure within a response. */
function failureCode({ reason }: MeshError): string {
  const { http } = ERRORS[reason];
  if (http === 429) return 'rate_limit_exceeded';
  return http < 500 ? 'invalid_prompt' : 'server_error';
}
