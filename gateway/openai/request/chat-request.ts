import { Type } from 'typebox';
import type { AnswerForm, ReasoningForm } from '#gateway/openai/answer/answer-form.ts';
import { CHAT_USES } from '#gateway/openai/fields/request-uses.ts';
import { MeshError } from '#mesh/errors.ts';
import {
  answerFields,
  answerForm,
  checkStreaming,
  MAX_LOGPROBS,
  outputOptions,
} from './answer-fields.ts';
import { openBody } from './body.ts';
import { compileCheck } from './check.ts';
import { flagField, integerField, objectField } from './fields.ts';
import type { RequestedMedia } from './media-reference.ts';
import { conversation, openAssistantText } from './messages.ts';
import type { RequestedStart } from './requested-start.ts';
import { MAX_COUNT, samplingFields, samplingParams } from './sampling.ts';
import { type RequestNames, requestNames, servingParams } from './serving-fields.ts';
import { requestedForm, structuredFields } from './structured-output.ts';
import { templateFields, templateOptions } from './template-args.ts';
import { reasoningFields, reasoningForm, thinkingBudget } from './thinking.ts';
import { checkToolResults } from './tool-results.ts';
import { requestedTools, toolFields } from './tools.ts';

/** Checks the body of `POST /v1/chat/completions`. */
export const checkChat = compileCheck(
  Type.Object({
    ...reasoningFields,
    ...samplingFields,
    ...structuredFields,
    ...answerFields,
    ...templateFields,
    ...toolFields,
    messages: Type.Array(Type.Unknown(), {
      minItems: 1,
      description: 'a list of at least one message',
    }),
    max_tokens: integerField({ min: 1, max: MAX_COUNT }),
    max_completion_tokens: integerField({ min: 1, max: MAX_COUNT }),
    logprobs: flagField(),
    top_logprobs: integerField({ min: 0, max: MAX_LOGPROBS }),
    mm_processor_kwargs: objectField('an object of image preprocessing options'),
  }),
  CHAT_USES,
);

/** A chat completion request, translated. */
export interface ChatRequest extends RequestNames {
  readonly isStream: boolean;
  readonly start: RequestedStart;
  readonly media: RequestedMedia;
  readonly form: AnswerForm;
  /** The client's name for the form that the answer must have; undefined if there is none. */
  readonly formField: string | undefined;
  /** Text that `echo` puts before the answer. */
  readonly echoText: string;
}

/** Parses a body; `usualReasoning` says where thoughts go if the request does not. */
export function parseChatRequest(
  json: unknown,
  usualReasoning: ReasoningForm = 'inline',
): ChatRequest {
  const body = openBody(json);
  const { request, unknownFields } = checkChat(body);
  checkStreaming(request);
  const reasoning = reasoningForm(request, usualReasoning);
  const numLogprobs = chatLogprobsCount(request.logprobs, request.top_logprobs);
  // Log-probabilities would give hidden thoughts away.
  const wish = { numLogprobs: reasoning === 'hidden' ? undefined : numLogprobs, reasoning };
  const { messages, references } = conversation(request.messages);
  const { structuredOutput, formField } = requestedForm(request);
  const { tools, toolChoice } = requestedTools(request);
  const template = templateOptions(request);
  checkToolResults(messages, { isLastOpen: template.continueFinalMessage });
  const maxTokens = request.max_completion_tokens ?? request.max_tokens;
  return {
    unknownFields,
    isStream: request.stream ?? false,
    ...requestNames(request),
    start: {
      prompt: {
        form: { $case: 'chat', value: { messages, tools, ...template } },
        media: [],
        maxPromptTokens: request.truncate_prompt_tokens,
      },
      sampling: samplingParams(request, {
        maxTokens,
        thinkingTokenBudget: thinkingBudget(request),
      }),
      output: outputOptions(request, wish),
      structuredOutput,
      toolChoice,
      ...servingParams(request),
    },
    media: { references, processorKwargs: request.mm_processor_kwargs },
    form: answerForm(request, wish),
    formField,
    echoText: request.echo === true ? openAssistantText(messages) : '',
  };
}

function chatLogprobsCount(
  logprobs: boolean | undefined,
  topLogprobs: number | undefined,
): number | undefined {
  if (logprobs === true) return topLogprobs ?? 0;
  if (topLogprobs !== undefined && topLogprobs > 0) {
    throw new MeshError('INVALID_REQUEST', 'top_logprobs is only allowed with logprobs: true', {
      param: 'top_logprobs',
    });
  }
  return undefined;
}
