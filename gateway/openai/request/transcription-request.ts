import { Type } from 'typebox';
import type { TranscriptionForm } from '#gateway/openai/answer/transcription-response.ts';
import { MeshError } from '#mesh/errors.ts';
import type { ChatMessage } from '#protos/autoglm/llm/v1/prompt.ts';
import { compileCheck } from './check.ts';
import { flagField, listField, numberField, textField } from './fields.ts';
import { formFields, type SubmittedForm } from './form-fields.ts';
import type { RequestedMedia } from './media-reference.ts';
import type { RequestedStart } from './requested-start.ts';
import { samplingParams } from './sampling.ts';

/** The prompt to the models if the caller gives none. */
const PROMPT = 'Please transcribe this audio into text';

const answerFormat = Type.Union(
  [Type.Literal('json'), Type.Literal('text'), Type.Literal('verbose_json')],
  {
    description: 'one of json, text, verbose_json (times within a recording are not known)',
  },
);

const fields = Type.Object({
  model: textField('a model name'),
  prompt: textField('a text'),
  language: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$',
      description: 'a language code such as en or zh',
    }),
  ),
  response_format: Type.Optional(answerFormat),
  temperature: numberField({ min: 0, max: 1 }),
  stream: flagField(),
  timestamp_granularities: listField(
    Type.Literal('segment'),
    'segment only (times of words are not known)',
  ),
  include: Type.Optional(
    Type.Array(Type.String(), {
      maxItems: 0,
      description: 'left out (log-probabilities are not available here)',
    }),
  ),
});

const check = compileCheck(fields);

/** Fields of a form that are not texts. */
const FIELD_KINDS = {
  numbers: ['temperature'],
  flags: ['stream'],
  lists: ['timestamp_granularities', 'include'],
} as const;

/** A transcription request, translated. */
export interface TranscriptionRequest extends TranscriptionForm {
  /** The model's name, as the client wrote it. */
  readonly model: string | undefined;
  readonly isStream: boolean;
  readonly start: RequestedStart;
  readonly media: RequestedMedia;
}

export function parseTranscriptionRequest(form: SubmittedForm): TranscriptionRequest {
  const request = check(formFields(form, FIELD_KINDS));
  const { response_format: format = 'json', stream: isStream = false, temperature = 0 } = request;
  if (isStream && format === 'verbose_json') {
    const message = 'response_format must be json or text with stream: true, got "verbose_json"';
    throw new MeshError('INVALID_REQUEST', message, { param: 'response_format' });
  }
  return {
    model: request.model,
    isStream,
    format,
    language: request.language,
    temperature,
    start: start(request.prompt ?? PROMPT, { temperature, isVerbose: format === 'verbose_json' }),
    media: { references: [recording(form)], processorKwargs: undefined },
  };
}

interface Style {
  readonly temperature: number;
  /** True if the answer says how sure the model was. */
  readonly isVerbose: boolean;
}

/**
 * Returns the recording, then the instruction; thoughts are off, since they are not part of a
 * transcript.
 */
function start(prompt: string, { temperature, isVerbose }: Style): RequestedStart {
  const parts = [
    { part: { $case: 'mediaIndex', value: 0 } as const },
    { part: { $case: 'text', value: prompt } as const },
  ];
  const message: ChatMessage = {
    role: 'user',
    content: { $case: 'parts', value: { parts } },
    metadata: '',
  };
  const chat = {
    messages: [message],
    addGenerationPrompt: true,
    continueFinalMessage: false,
    templateArgs: { enable_thinking: false },
  };
  return {
    prompt: { form: { $case: 'chat', value: chat }, media: [], maxPromptTokens: undefined },
    sampling: samplingParams({ temperature }, undefined),
    output: {
      numLogprobs: isVerbose ? 0 : undefined,
      includeStopString: false,
      splitReasoning: true,
      returnPromptTokenIds: false,
    },
  };
}

function recording({ files, texts }: SubmittedForm): RequestedMedia['references'][number] {
  const [file, another] = files.filter(({ field }) => field === 'file');
  if (file !== undefined && another === undefined) {
    const { bytes, declaredType } = file;
    return { modality: 'audio', source: { kind: 'bytes', bytes }, declaredType, param: 'file' };
  }
  const received = another !== undefined ? 'two' : texts.has('file') ? 'a text' : 'nothing';
  const message = `file must be one uploaded recording, got ${received}`;
  throw new MeshError('INVALID_REQUEST', message, { param: 'file' });
}
