/**
 * A request body, as JSON text, with an odd number in place of a request's number, and a name for
 * the case.
 */
export interface OddRequest {
  readonly name: string;
  readonly path: string;
  readonly body: string;
}

/** Numbers at and beyond the edges of float32, float64 and integers of 31 to 64 bits. */
const NUMBERS = [
  ...['-1', '-0', '0', '1e-46', '1e-44', '1e-38', '5e-324', '0.1', '0.99999999999', '1.0000000001'],
  ...['2147483647', '2147483648', '-2147483649', '4294967295', '4294967296', '9007199254740993'],
  ...['9223372036854775807', '18446744073709551615', '18446744073709551616'],
  ...['3e38', '3.5e38', '1e39', '-1e39', '1e308', '1e999', '-1e999'],
];

const CHAT = '"messages":[{"role":"user","content":"Hi"}],"max_tokens":2';

/** Bodies in which `#` stands for the number. */
const SLOTS: readonly { readonly path: string; readonly body: string }[] = [
  ...[
    ...['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'presence_penalty'],
    ...['frequency_penalty', 'seed', 'min_tokens', 'max_completion_tokens', 'priority', 'n'],
    'truncate_prompt_tokens',
  ].map((field) => ({ path: '/v1/chat/completions', body: `{${CHAT},"${field}":#}` })),
  ...[
    '"logit_bias":{"5":#}',
    '"logit_bias":{"#":1}',
    '"allowed_token_ids":[#]',
    '"stop_token_ids":[#]',
    '"logprobs":true,"top_logprobs":#',
    '"prompt_logprobs":#',
    '"mm_processor_kwargs":{"max_pixels":#}',
    '"chat_template_kwargs":{"enable_thinking":#}',
  ].map((field) => ({ path: '/v1/chat/completions', body: `{${CHAT},${field}}` })),
  ...[
    '"prompt":"Hi","max_tokens":#',
    '"prompt":[#],"max_tokens":2',
    '"prompt":[[#]],"max_tokens":2',
    '"prompt":"Hi","max_tokens":2,"logprobs":#',
    '"prompt":"hello hello","max_tokens":2,"repetition_penalty":#',
    '"prompt":[5],"allowed_token_ids":[5],"max_tokens":1,"repetition_penalty":#',
  ].map((fields) => ({ path: '/v1/completions', body: `{${fields}}` })),
  { path: '/detokenize', body: '{"tokens":[#]}' },
];

export const ODD_REQUESTS: readonly OddRequest[] = SLOTS.flatMap(({ path, body }) =>
  NUMBERS.map((number) => {
    const text = body.replace('#', number);
    return { name: `${path} ${text}`, path, body: text };
  }),
);
