import { MeshError } from '#mesh/errors.ts';
import type {
  Accepted,
  ChoiceFinish,
  Delta,
  Embedding,
  PromptLogprobs,
  TokenLogprob,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { Channel } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { AnswerEvent } from './event.ts';
import { UsageMeter } from './usage.ts';

/** One choice of a whole answer. */
export interface AnswerChoice {
  content: string;
  reasoning: string;
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
    for (const { index, text, channel, tokenIds, logprobs } of delta.choices) {
      const choice = this.choices[index];
      if (choice === undefined) continue;
      if (channel === Channel.CHANNEL_REASONING) choice.reasoning += text;
      else choice.content += text;
      for (const tokenId of tokenIds) choice.tokenIds.push(tokenId);
      for (const logprob of logprobs) choice.logprobs.push(logprob);
    }
  }
}

/** Returns how a choice ended; a missing end is a failure, never a success. */
export function finishOf(choice: AnswerChoice): ChoiceFinish {
  if (choice.finish !== undefined) return choice.finish;
  throw new MeshError('ENGINE_FAILED', 'the backbone did not say how a choice ended');
}
