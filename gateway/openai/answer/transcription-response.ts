import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import type { TokenLogprob } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import type { Answer, AnswerChoice } from './answer.ts';
import { type TranscriptionUsage, transcriptionUsage } from './transcription-usage.ts';

/** The form of a transcription that the client asked for. */
export interface TranscriptionForm {
  readonly format: 'json' | 'text' | 'verbose_json';
  readonly temperature: number;
}

/** Writes a whole transcription: a text for the format "text", otherwise an object. */
export function transcriptionResponse(answer: Answer, form: TranscriptionForm): string | object {
  const [choice] = answer.choices;
  assert(choice !== undefined);
  const { content: text } = choice;
  switch (form.format) {
    case 'text':
      return `${text}\n`;
    case 'json':
      return { text, usage: transcriptionUsage(answer.usage) } satisfies Transcription;
    case 'verbose_json':
      return verbose(choice, {
        form,
        durationS: (answer.accepted?.audioDurationMs ?? 0) / 1000,
      });
  }
}

interface Transcription {
  readonly text: string;
  readonly usage: TranscriptionUsage;
}

interface Verbose {
  readonly form: TranscriptionForm;
  readonly durationS: number;
}

function verbose(choice: AnswerChoice, { form, durationS }: Verbose): object {
  const { content: text } = choice;
  const { temperature } = form;
  const segment = {
    id: 0,
    seek: 0,
    start: 0,
    end: durationS,
    text,
    tokens: choice.tokenIds,
    temperature,
    avg_logprob: averageLogprob(choice.logprobs),
    compression_ratio: compressionRatio(text),
    // Whisper has a token for silence, these models do not.
    no_speech_prob: null,
  };
  return {
    task: 'transcribe',
    // Nothing here tells which language was spoken.
    language: null,
    duration: durationS,
    text,
    segments: [segment],
    usage: { type: 'duration', seconds: Math.ceil(durationS) },
  };
}

function averageLogprob(logprobs: readonly TokenLogprob[]): number {
  const sum = logprobs.reduce((total, { token }) => total + (token?.logprob ?? 0), 0);
  return sum / Math.max(1, logprobs.length);
}

/** Returns Whisper's measure of a transcript that repeats itself. */
function compressionRatio(text: string): number {
  return Buffer.byteLength(text) / deflateSync(text).length;
}
