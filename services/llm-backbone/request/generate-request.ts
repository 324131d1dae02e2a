import { allowedIds } from '#backbone/engine/allowed-ids.ts';
import { checkFormSize, type LimitingForm } from '#backbone/grammar/form-rules.ts';
import type { ToolCallFormat, ToolUse } from '#backbone/output/tool-use.ts';
import {
  type EmbeddingWidths,
  type RequestedEmbedding,
  readEmbeddingOptions,
} from '#backbone/pooling/embedding-options.ts';
import {
  completionRoom,
  type LengthLimits,
  type PreparationOptions,
  type PreparedPrompt,
  type PromptReader,
  preparePrompt,
} from '#backbone/prompt/prompt.ts';
import { MAX_CACHE_SALT_BYTES } from '#mesh/encode/upload-limits.ts';
import { MeshError } from '#mesh/errors.ts';
import { checkClientId } from '#mesh/fairness/client-id.ts';
import { checkPromptSize } from '#mesh/prompt/prompt-limits.ts';
import {
  type GenerateStart,
  OutputOptions,
  type PromptLimits,
  type Resume,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { badWordTokens } from './bad-words.ts';
import type { GenerationRequest } from './generation.ts';
import { compiled, constraintsOf, type FormReader, requestedForm } from './requested-form.ts';
import {
  type CheckedSampling,
  checkAllowed,
  checkSampling,
  type SamplingFacts,
} from './sampling.ts';
import { withThinkingBudget } from './thinking-budget.ts';
import { readToolUse } from './tools.ts';

const MAX_LOGPROBS = 20;

/** Name of the options that ask for an embedding. */
const EMBEDDING = '"embedding"';

/** Greatest distance of a priority from 0; with the aging time, it bounds every wait. */
const MAX_PRIORITY = 100;

/** The model and the instance's limits, against which requests are read. */
export interface RequestReader {
  readonly prompt: PromptReader;
  readonly promptLimits: PromptLimits;
  readonly sampling: SamplingFacts;
  readonly embedding: EmbeddingWidths;
  readonly forms: FormReader;
  readonly limits: LengthLimits;
  /** Tells whether requests may name a priority. */
  readonly schedulingPolicy: 'fcfs' | 'priority';
  /** How the model writes calls of tools; null if nobody knows. */
  readonly toolCallFormat: ToolCallFormat | null;
}

/** The parts of a request that can be checked before its prompt is tokenized. */
export interface CheckedStart {
  readonly sampling: CheckedSampling;
  readonly tools: ToolUse | null;
  /** Form that the answer must have; null for any text. */
  readonly form: LimitingForm | null;
  /** Null for a generation. */
  readonly embedding: RequestedEmbedding | null;
}

/** Checks what can be checked before the prompt is tokenized. */
export function checkStart(start: GenerateStart, reader: RequestReader): CheckedStart {
  const { promptLimits, limits } = reader;
  checkPromptSize(start.prompt, { ...promptLimits, maxModelLen: limits.maxModelLen });
  checkClientId(start.clientId);
  checkLength('cache_salt', start.cacheSalt, MAX_CACHE_SALT_BYTES);
  checkPriority(start.priority ?? 0, reader);
  const sampling = checkSampling(start.sampling, reader.sampling);
  const output = start.output ?? OutputOptions.create();
  checkNumLogprobs('output.num_logprobs', output.numLogprobs);
  checkNumLogprobs('output.num_prompt_logprobs', output.numPromptLogprobs);
  if (start.resume !== undefined) checkResume(start.resume, sampling, reader);
  const tools = readToolUse(start, reader.toolCallFormat);
  if (start.embedding !== undefined) {
    const embedding = readEmbeddingOptions(start.embedding, reader.embedding);
    return { sampling: withoutTokens(sampling), tools, form: null, embedding };
  }
  const form = requestedForm(start, tools, reader.forms);
  if (form !== null) checkFormSize(form);
  return { sampling, tools, form, embedding: null };
}

/** Returns sampling parameters that generate nothing; refuses those that ask for something. */
function withoutTokens(sampling: CheckedSampling): CheckedSampling {
  const { numChoices, maxTokens = 0 } = sampling;
  const refuse = (param: string, got: number, allowed: number): never => {
    const message = `${param}: got ${got}, and with ${EMBEDDING} only ${allowed} is allowed`;
    throw new MeshError('INVALID_REQUEST', message, { param });
  };
  if (numChoices !== 1) refuse('sampling.num_choices', numChoices, 1);
  if (maxTokens !== 0) refuse('sampling.max_tokens', maxTokens, 0);
  return { ...sampling, maxTokens: 0 };
}

/** Tokenizes and completes a checked request. */
export async function readRequest(
  start: GenerateStart,
  { sampling, tools, form, embedding }: CheckedStart,
  reader: RequestReader,
  { media, signal }: Pick<PreparationOptions, 'media' | 'signal'>,
): Promise<Omit<GenerationRequest, 'ticket' | 'media' | 'promptKey' | 'stages'>> {
  const { tokenizer } = reader.prompt;
  const { maxTokens } = sampling;
  const client = start.clientId;
  const preparation = { ...reader.limits, maxTokens, media, signal, client };
  const [prompt, badWords, grammar] = await Promise.all([
    preparePrompt(start.prompt, reader.prompt, preparation),
    badWordTokens(sampling.badWords, tokenizer),
    form === null ? null : compiled(form, start, reader.forms, signal),
  ]);
  checkAllowed(sampling.settings, badWords);
  const output = start.output ?? OutputOptions.create();
  const { resume } = start;
  const facts = {
    vocabulary: tokenizer.vocabulary,
    sampling: reader.sampling,
    promptTokenIds: prompt.tokenIds,
  };
  const limited =
    form === null || grammar === null
      ? allowedConstraint(sampling, reader)
      : constraintsOf({
          ...facts,
          form,
          grammar,
          mayThink: output.splitReasoning || tools !== null,
        });
  const createConstraint = withThinkingBudget(limited, sampling, { ...facts, badWords });
  const settings = { ...sampling.settings, badWords, createConstraint };
  return {
    prompt,
    settings: resume === undefined ? settings : { ...settings, seed: resume.seed },
    output: { ...outputOptions(sampling, output, prompt, reader), tools },
    numChoices: sampling.numChoices,
    cacheSalt: start.cacheSalt,
    numLogprobs: output.numLogprobs ?? -1,
    numPromptLogprobs: output.numPromptLogprobs ?? -1,
    returnPromptTokenIds: output.returnPromptTokenIds,
    planOnly: start.planOnly,
    embedding,
    delivered: deliveredTokens(resume, sampling.numChoices),
  };
}

function allowedConstraint(
  { settings: { allowedTokenIds } }: CheckedSampling,
  { sampling: { numLogits } }: RequestReader,
): GenerationRequest['settings']['createConstraint'] {
  if (allowedTokenIds === null) return null;
  const shared = allowedIds(allowedTokenIds, numLogits);
  return () => shared;
}

function outputOptions(
  sampling: CheckedSampling,
  output: OutputOptions,
  prompt: PreparedPrompt,
  { limits }: RequestReader,
): Omit<GenerationRequest['output'], 'tools'> {
  const room = completionRoom(prompt.tokenIds.length, limits);
  return {
    endRules: {
      maxTokens: Math.min(sampling.maxTokens ?? room, room),
      eosTokenIds: sampling.eosTokenIds,
      stopTokenIds: sampling.stopTokenIds,
    },
    minTokens: sampling.settings.minTokens,
    stopStrings: sampling.stopStrings,
    includeStopString: output.includeStopString,
    skipSpecialTokens: output.skipSpecialTokens ?? true,
    splitReasoning: output.splitReasoning,
  };
}

function checkLength(param: string, text: string, maxBytes: number): void {
  const numBytes = Buffer.byteLength(text);
  if (numBytes <= maxBytes) return;
  const message = `${param}: ${numBytes} bytes, at most ${maxBytes} are allowed`;
  throw new MeshError('INVALID_REQUEST', message, { param });
}

/** Refuses a priority where it has no effect, in vLLM's words, and one whose aging has no end. */
function checkPriority(priority: number, { schedulingPolicy }: RequestReader): void {
  const refuse = (message: string): never => {
    throw new MeshError('INVALID_REQUEST', `priority: ${message}`, { param: 'priority' });
  };
  if (priority === 0) return;
  if (schedulingPolicy !== 'priority') {
    refuse(
      `Got priority ${priority} but Priority scheduling is not enabled; leave it out, or start llm-backbone with the key "scheduling-policy" set to "priority"`,
    );
  }
  if (Math.abs(priority) > MAX_PRIORITY) {
    refuse(`got ${priority}, allowed is -${MAX_PRIORITY} to ${MAX_PRIORITY}`);
  }
}

function checkNumLogprobs(param: string, value: number | undefined): void {
  if (value === undefined || value <= MAX_LOGPROBS) return;
  const message = `${param}: got ${value}, allowed is 0 to ${MAX_LOGPROBS}`;
  throw new MeshError('INVALID_REQUEST', message, { param });
}

function checkResume(resume: Resume, sampling: CheckedSampling, reader: RequestReader): void {
  const refuse = (message: string): never => {
    throw new MeshError('INVALID_REQUEST', `resume: ${message}`, { param: 'resume' });
  };
  const { numChoices } = sampling;
  const { maxModelLen } = reader.limits;
  const seen = new Set<number>();
  for (const { index, tokenIds } of resume.choices) {
    if (index >= numChoices) refuse(`choice ${index} of a request with ${numChoices}`);
    if (seen.has(index)) refuse(`choice ${index} is named twice`);
    if (tokenIds.length > maxModelLen) {
      refuse(`choice ${index} has ${tokenIds.length} tokens, the context ${maxModelLen}`);
    }
    seen.add(index);
    const unknown = tokenIds.find((id) => id >= reader.sampling.vocabSize);
    if (unknown !== undefined) refuse(`${unknown} is not a token id`);
  }
}

/** Returns the delivered token ids, one list per choice. */
function deliveredTokens(resume: Resume | undefined, numChoices: number): readonly number[][] {
  const byIndex = new Map(resume?.choices.map(({ index, tokenIds }) => [index, tokenIds]));
  return Array.from({ length: numChoices }, (_, index) => byIndex.get(index) ?? []);
}
