import type { UsageMeter } from './usage.ts';

/** OpenAI's usage object of a transcription. */
export interface TranscriptionUsage {
  readonly type: 'tokens';
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly total_tokens: number;
  readonly input_token_details: { readonly text_tokens: number; readonly audio_tokens: number };
}

export function transcriptionUsage(meter: UsageMeter): TranscriptionUsage {
  const { numPrompt, numCompletion, numAudio } = meter;
  return {
    type: 'tokens',
    input_tokens: numPrompt,
    output_tokens: numCompletion,
    total_tokens: numPrompt + numCompletion,
    input_token_details: { text_tokens: numPrompt - numAudio, audio_tokens: numAudio },
  };
}
