import { CONSTRAINT_USES } from './constraint-uses.ts';
import {
  alias,
  EMPTY,
  each,
  type FieldTable,
  fieldTable,
  HONOURED,
  harmless,
  refused,
  refusedUnless,
} from './field-use.ts';
import { SAMPLING_USES } from './sampling-uses.ts';
import { SERVING_USES } from './serving-uses.ts';
import { CONVERSATION_USES } from './template-uses.ts';
import { NO_TOOL_USES, TOOL_LIST_USES, TOOL_USES } from './tool-uses.ts';

// One table a route: every field of the request schemas of OpenAI, vLLM, SGLang and llama.cpp, with
// what this server does with it. The parser of the route refuses and accepts by its table.

const isTextOnly = (value: unknown) => Array.isArray(value) && value.every((one) => one === 'text');

/** Fields of `POST /v1/chat/completions`. */
export const CHAT_USES: FieldTable = fieldTable({
  ...SAMPLING_USES,
  ...CONSTRAINT_USES,
  ...TOOL_USES,
  ...SERVING_USES,
  ...CONVERSATION_USES,
  ...each(
    HONOURED,
    'max_completion_tokens',
    'top_logprobs',
    'return_reasoning',
    'separate_reasoning',
    'include_reasoning',
  ),
  stream_reasoning: refused('thoughts are sent as they come', true),
  reasoning_format: alias('return_reasoning', 'none', 'auto'),
  modalities: refusedUnless(isTextOnly, 'answers are text; only ["text"] is accepted'),
  audio: refused('answers are text'),
  moderation: refused('answers are not moderated'),
  verbosity: refused('the models here have no verbosity; only "medium" is accepted', 'medium'),
  web_search_options: refused('this server does not search'),
  task: refused('the models here have no tasks'),
  add_special_tokens: refused('the template writes all special tokens of a conversation', false),
  input_ids: refused('a conversation is sent as messages; token ids go to /v1/completions', EMPTY),
  prompt: alias('messages'),
  input: alias('messages'),
  system: alias('messages, with a message of the role system'),
  suffix: refused('text insertion is not supported', EMPTY),
});

/** Fields of `POST /v1/completions`. */
export const COMPLETION_USES: FieldTable = fieldTable({
  ...SAMPLING_USES,
  ...CONSTRAINT_USES,
  ...NO_TOOL_USES,
  ...SERVING_USES,
  prompt: HONOURED,
  add_special_tokens: HONOURED,
  suffix: refused('text insertion is not supported', EMPTY),
  max_completion_tokens: alias('max_tokens'),
  messages: alias('prompt, or /v1/chat/completions'),
  inputs: alias('prompt'),
  input_ids: alias('prompt'),
  image_data: refused('media go to /v1/chat/completions', EMPTY),
  multimodal_data: refused('media go to /v1/chat/completions', EMPTY),
});

/** Fields of `POST /tokenize`. */
export const TOKENIZE_USES: FieldTable = fieldTable({
  ...CONVERSATION_USES,
  ...TOOL_LIST_USES,
  ...each(HONOURED, 'model', 'prompt', 'add_special_tokens', 'return_token_strs'),
  content: alias('prompt'),
  text: alias('prompt'),
  add_special: alias('add_special_tokens'),
  with_pieces: alias('return_token_strs', false),
  parse_special: refused('special tokens in a prompt are always parsed', true),
  user: harmless('it names the asker'),
});

/** Fields of `POST /detokenize`. */
export const DETOKENIZE_USES: FieldTable = fieldTable({
  ...each(HONOURED, 'model', 'tokens'),
  skip_special_tokens: refused('special tokens are written as text', false),
  user: harmless('it names the asker'),
});

const NO_BEAMS = 'beam search is not supported';
const NO_SPEAKERS = 'speakers are not told apart';
const NO_PIECES = 'a recording is transcribed as a whole';

/** Fields of the form of `POST /v1/audio/transcriptions`; their values are texts. */
export const TRANSCRIPTION_USES: FieldTable = fieldTable({
  ...each(
    HONOURED,
    'file',
    'model',
    'instruction',
    'language',
    'response_format',
    'stream',
    'timestamp_granularities',
    'temperature',
    'top_p',
    'top_k',
    'min_p',
    'seed',
    'repetition_penalty',
    'presence_penalty',
    'frequency_penalty',
    'max_completion_tokens',
    'request_id',
    'cache_salt',
    'priority',
  ),
  ...each(
    harmless('the last event of a stream always carries usage'),
    'stream_include_usage',
    'stream_continuous_usage_stats',
  ),
  user: harmless('it names the asker'),
  ...each(harmless('a hint, and the models here take none'), 'prompt', 'hotwords'),
  include: refused('log-probabilities are not available here', EMPTY),
  chunking_strategy: refused(`${NO_PIECES}; only "auto" is accepted`, 'auto'),
  to_language: refused('recordings are transcribed, not translated'),
  known_speaker_names: refused(NO_SPEAKERS),
  known_speaker_references: refused(NO_SPEAKERS),
  max_tokens: alias('max_completion_tokens'),
  max_new_tokens: alias('max_completion_tokens'),
  n: refused('a recording has one transcript', 1),
  use_beam_search: refused(NO_BEAMS, false),
  length_penalty: refused(NO_BEAMS, 1),
  include_stop_str_in_output: refused('a transcript has no stop strings', false),
  vllm_xargs: refused('extensions of other servers are not known'),
  ...each(
    refused(NO_PIECES),
    'vad_config.enabled',
    'vad_config.threshold',
    'vad_config.neg_threshold',
    'vad_config.min_speech_duration_ms',
    'vad_config.max_speech_duration_s',
    'vad_config.min_silence_duration_ms',
    'vad_config.speech_pad_ms',
    'vad_config.min_silence_at_max_speech_ms',
    'vad_config.use_max_poss_sil_at_max_speech',
  ),
});
