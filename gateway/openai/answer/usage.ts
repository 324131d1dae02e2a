import type { AnswerEvent } from './event.ts';

/** OpenAI's usage object. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: {
    readonly cached_tokens: number;
    readonly audio_tokens: number;
    readonly image_tokens: number;
  };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** Counts the tokens of one generation as its events pass. */
export class UsageMeter {
  numPrompt = 0;
  numCached = 0;
  numAudio = 0;
  numImage = 0;
  numCompletion = 0;
  numReasoning = 0;

  observe(event: AnswerEvent): void {
    switch (event.$case) {
      case 'accepted':
        this.numPrompt = event.value.numPromptTokens;
        this.numCached = event.value.numCachedTokens;
        this.numAudio = event.value.numAudioTokens;
        this.numImage = event.value.numImageTokens;
        return;
      case 'delta':
        for (const choice of event.value.choices) this.numCompletion += choice.tokenIds.length;
        return;
      case 'finished':
        this.numPrompt = event.value.numPromptTokens;
        this.numCached = event.value.numCachedTokens;
        this.numCompletion = event.value.numCompletionTokens;
        this.numReasoning = event.value.numReasoningTokens;
        return;
      case 'promptLogprobs':
      case 'embedding':
        return;
    }
  }
}

/** Adds up the usage of the generations of one answer. */
export function totalUsage(meters: readonly UsageMeter[]): Usage {
  let numPrompt = 0;
  let numCached = 0;
  let numAudio = 0;
  let numImage = 0;
  let numCompletion = 0;
  let numReasoning = 0;
  for (const meter of meters) {
    numPrompt += meter.numPrompt;
    numCached += meter.numCached;
    numAudio += meter.numAudio;
    numImage += meter.numImage;
    numCompletion += meter.numCompletion;
    numReasoning += meter.numReasoning;
  }
  return {
    prompt_tokens: numPrompt,
    completion_tokens: numCompletion,
    total_tokens: numPrompt + numCompletion,
    prompt_tokens_details: {
      cached_tokens: numCached,
      audio_tokens: numAudio,
      image_tokens: numImage,
    },
    completion_tokens_details: { reasoning_tokens: numReasoning },
  };
}
