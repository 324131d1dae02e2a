import { type Static, Type } from 'typebox';
import type { TranscriptionForm } from '#gateway/openai/answer/transcription-response.ts';
import { TRANSCRIPTION_USES } from '#gateway/openai/fields/request-uses.ts';
import { MeshError } from '#mesh/errors.ts';
import { SAMPLING_FIELDS, valuesByName } from '#mesh/sampling-fields.ts';
import type { ChatMessage } from '#protos/autoglm/llm/v1/prompt.ts';
import { compileCheck } from './check.ts';
import {
  flagField,
  integerField,
  listField,
  numberField,
  samplingField,
  textField,
} from './fields.ts';
import { formFields, type SubmittedForm } from './form-fields.ts';
import type { RequestedMedia } from './media-reference.ts';
import type { RequestedStart } from './requested-start.ts';
import { MAX_COUNT, samplingParams } from './sampling.ts';
import { seedField } from './seed.ts';
import { type RequestNames, requestNames, servingFields, servingParams } from './serving-fields.ts';

/** What the models are told to do if the caller does not say it. */
const INSTRUCTION = 'Please transcribe this audio into text';

const answerFormat = Type.Union(
  [Type.Literal('json'), Type.Literal('text'), Type.Literal('verbose_json')],
  {
    description: 'one of json, text, verbose_json (times within a recording are not known)',
  },
);

const fields = Type.Object({
  ...servingFields,
  ...valuesByName(SAMPLING_FIELDS, samplingField),
  // Its uploads are read apart from the texts of the form.
  file: Type.Optional(Type.Unknown({ description: 'one uploaded recording' })),
  instruction: textField('a text'),
  /** A hint without effect; the language of a recording is not detected. */
  language: Type.Optional(
    Type.String({
      pattern: '^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$',
      description: 'a language code such as en or zh',
    }),
  ),
  response_format: Type.Optional(answerFormat),
  temperature: numberField({ min: 0, max: 1 }),
  seed: seedField(),
  max_completion_tokens: integerField({ min: 1, max: MAX_COUNT }),
  stream: flagField(),
  timestamp_granularities: listField(
    Type.Literal('segment'),
    'segment only (times of words are not known)',
  ),
});

/** Checks the form of `POST /v1/audio/transcriptions`. */
export const checkTranscription = compileCheck(fields, TRANSCRIPTION_USES);

/** Fields of a form that are not texts. */
const FIELD_KINDS = {
  numbers: [
    ...Object.values(SAMPLING_FIELDS).map(({ name }) => name),
    'seed',
    'max_completion_tokens',
    'priority',
    'n',
    'length_penalty',
  ],
  flags: ['stream', 'use_beam_search', 'include_stop_str_in_output'],
  lists: ['timestamp_granularities', 'include'],
} as const;

/** A transcription request, translated. */
export interface TranscriptionRequest extends TranscriptionForm, RequestNames {
  readonly isStream: boolean;
  readonly start: RequestedStart;
  readonly media: RequestedMedia;
}

export function parseTranscriptionRequest(form: SubmittedForm): TranscriptionRequest {
  const { request, unknownFields } = checkTranscription(formFields(form, FIELD_KINDS));
  const { response_format: format = 'json', stream: isStream = false, temperature = 0 } = request;
  if (isStream && format === 'verbose_json') {
    const message = 'response_format must be json or text with stream: true, got "verbose_json"';
    throw new MeshError('INVALID_REQUEST', message, { param: 'response_format' });
  }
  return {
    unknownFields,
    isStream,
    ...requestNames(request),
    format,
    temperature,
    start: start(request, { temperature, isVerbose: format === 'verbose_json' }),
    media: { references: [recording(form)], processorKwargs: undefined },
  };
}

type FormRequest = Static<typeof fields>;

interface Style {
  readonly temperature: number;
  /** True if the answer says how sure the model was. */
  readonly isVerbose: boolean;
}

/**
 * Returns the recording, then the instruction; thoughts are off, since they are not part of a
 * transcript.
 */
function start(request: FormRequest, { temperature, isVerbose }: Style): RequestedStart {
  const { instruction = INSTRUCTION, max_completion_tokens: maxTokens } = request;
  const parts = [
    { part: { $case: 'mediaIndex', value: 0 } as const },
    { part: { $case: 'text', value: instruction } as const },
  ];
  const message: ChatMessage = {
    role: 'user',
    content: { $case: 'parts', value: { parts } },
    metadata: '',
    toolCalls: [],
  };
  const chat = {
    messages: [message],
    tools: [],
    addGenerationPrompt: true,
    continueFinalMessage: false,
    templateArgs: { enable_thinking: false },
  };
  return {
    prompt: { form: { $case: 'chat', value: chat }, media: [], maxPromptTokens: undefined },
    sampling: samplingParams(
      { ...request, temperature },
      { maxTokens, thinkingTokenBudget: undefined },
    ),
    output: {
      numLogprobs: isVerbose ? 0 : undefined,
      includeStopString: false,
      splitReasoning: true,
      returnPromptTokenIds: false,
    },
    // A transcript is text, whatever form other answers have.
    structuredOutput: { form: { $case: 'anyText', value: {} } },
    ...servingParams(request),
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
