/**
 * The client's names for the fields of a request to the mesh, by their paths in the proto message.
 * The steps that follow a path also follow the client's field; an empty name means the request
 * itself.
 */
export type FieldNames = ReadonlyMap<string, string>;

/** Fields of `GenerateStart` that have the same names in chat and text completions. */
const COMPLETION = {
  sampling: '',
  'sampling.num_choices': 'n',
  'sampling.stop_strings': 'stop',
  'output.num_prompt_logprobs': 'prompt_logprobs',
  'output.skip_special_tokens': 'skip_special_tokens',
  'output.include_stop_string': 'include_stop_str_in_output',
  'prompt.max_prompt_tokens': 'truncate_prompt_tokens',
} as const;

/** Fields of a conversation. */
const CONVERSATION = {
  'prompt.chat': '',
  'prompt.chat.template_args': '',
} as const;

/** Adds the field in which the client gave the form of its answer. */
export function withForm(names: FieldNames, formField: string | undefined): FieldNames {
  if (formField === undefined) return names;
  const forms = FORM_PATHS.map((path): [string, string] => [path, formField]);
  return new Map([...names, ...forms]);
}

/** Paths of the forms in `GenerateStart`, and of what holds them. */
const FORM_PATHS = [
  'structured_output',
  'structured_output.json_schema',
  'structured_output.regex',
  'structured_output.choice',
  'structured_output.grammar',
  'structured_output.structural_tag',
] as const;

const fieldNames = (names: Readonly<Record<string, string>>): FieldNames =>
  new Map(Object.entries(names));

/** Names in `POST /v1/chat/completions`. */
export const CHAT_FIELDS = fieldNames({
  ...COMPLETION,
  ...CONVERSATION,
  'output.num_logprobs': 'top_logprobs',
  'output.split_reasoning': 'return_reasoning',
  prompt: 'messages',
  media: 'messages',
});

/** Names in `POST /v1/completions`. */
export const COMPLETION_FIELDS = fieldNames({
  ...COMPLETION,
  'output.num_logprobs': 'logprobs',
  'prompt.text': 'prompt',
  'prompt.tokens.token_ids': 'prompt',
});

/** Names in `POST /v1/embeddings`, whose prompt has either form. */
export const EMBEDDING_FIELDS = fieldNames({
  ...CONVERSATION,
  embedding: '',
  'prompt.max_prompt_tokens': 'truncate_prompt_tokens',
  'prompt.text': 'input',
  'prompt.tokens.token_ids': 'input',
  prompt: 'input',
  media: 'messages',
});

/** Names in `POST /v1/audio/transcriptions`, whose prompt is mainly the recording. */
export const TRANSCRIPTION_FIELDS = fieldNames({
  sampling: '',
  'sampling.max_tokens': 'max_completion_tokens',
  prompt: 'file',
  'prompt.chat.messages': 'instruction',
  media: 'file',
});

/** Names in `POST /tokenize`, whose prompt has either form. */
export const TOKENIZE_FIELDS = fieldNames({
  ...CONVERSATION,
  'prompt.text': 'prompt',
  media: 'messages',
});

/** Names in `POST /detokenize`. */
export const DETOKENIZE_FIELDS = fieldNames({ token_ids: 'tokens' });
