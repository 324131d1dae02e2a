import { MeshError } from '#mesh/errors.ts';
import {
  type Accepted,
  Channel,
  type ChoiceDelta,
  type ChoiceFinish,
  type Delta,
  type Embedding,
  type PromptLogprobs,
  type TokenLogprob,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerEvent } from './event.ts';
import { type AnsweredCall, createCallId } from './tool-call.ts';
import { UsageMeter } from './usage.ts';

/** One choice of a whole answer. */
export interface AnswerChoice {
  content: string;
  reasoning: string;
  readonly toolCalls: AnsweredCall[];
  readonly tokenIds: number[];
  readonly logprobs: TokenLogprob[];
  finish: ChoiceFinish | undefined;
}

/** Gathers the events of one generation for an answer that is not streamed. */
export class Answer {
  readonly choices: readonly AnswerChoice[];
  readonly usage = new UsageMeter();
  accepted: Accepted | undefined;
  promptLogprobs: PromptLogprobs | undefined;
  embedding: Embedding | undefined;

  constructor(numChoices: number) {
    this.choices = Array.from({ length: numChoices }, () => ({
      content: '',
      reasoning: '',
      toolCalls: [],
      tokenIds: [],
      logprobs: [],
      finish: undefined,
    }));
  }

  add(event: AnswerEvent): void {
    this.usage.observe(event);
    switch (event.$case) {
      case 'accepted':
        this.accepted = event.value;
        return;
      case 'promptLogprobs':
        this.promptLogprobs = event.value;
        return;
      case 'embedding':
        this.embedding = event.value;
        return;
      case 'delta':
        this.#addDelta(event.value);
        return;
      case 'finished':
        for (const finish of event.value.choices) {
          const choice = this.choices[finish.index];
          if (choice !== undefined) choice.finish = finish;
        }
        return;
    }
  }

  #addDelta(delta: Delta): void {
    for (const entry of delta.choices) {
      const { index, text, channel, tokenIds, logprobs } = entry;
      const choice = this.choices[index];
      if (choice === undefined) continue;
      if (channel === Channel.CHANNEL_REASONING) choice.reasoning += text;
      else if (channel === Channel.CHANNEL_TOOL_CALL) addCall(choice.toolCalls, entry);
      else choice.content += text;
      for (const tokenId of tokenIds) choice.tokenIds.push(tokenId);
      for (const logprob of logprobs) choice.logprobs.push(logprob);
    }
  }
}

/** Begins or continues a call of a choice. */
function addCall(calls: AnsweredCall[], { text, toolCall }: ChoiceDelta): void {
  if (toolCall?.name !== undefined) {
    const called = { name: toolCall.name, arguments: '' };
    calls[toolCall.index] = { id: createCallId(), type: 'function', function: called };
  }
  const call = calls[toolCall?.index ?? -1];
  if (call !== undefined) call.function.arguments += text;
}

/** Returns how a choice ended; a missing end is a failure, never a success. */
export function finishOf(choice: AnswerChoice): ChoiceFinish {
  if (choice.finish !== undefined) return choice.finish;
  throw new MeshError('ENGINE_FAILED', 'the backbone did not say how a choice ended');
}
