import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCountRequest, parseMessageRequest } from '#gateway/anthropic/message-request.ts';
import { COUNT_USES, MESSAGE_USES } from '#gateway/anthropic/message-uses.ts';
import { FormBody } from '#gateway/http/body/form-body.ts';
import type { UnknownField } from '#gateway/openai/fields/check-fields.ts';
import { EMBEDDING_USES } from '#gateway/openai/fields/embedding-uses.ts';
import type { FieldTable } from '#gateway/openai/fields/field-use.ts';
import {
  CHAT_USES,
  COMPLETION_USES,
  DETOKENIZE_USES,
  TOKENIZE_USES,
  TRANSCRIPTION_USES,
} from '#gateway/openai/fields/request-uses.ts';
import { parseChatRequest } from '#gateway/openai/request/chat-request.ts';
import { parseCompletionRequest } from '#gateway/openai/request/completion-request.ts';
import { parseEmbeddingRequest } from '#gateway/openai/request/embedding-request.ts';
import {
  parseDetokenizeRequest,
  parseTokenizeRequest,
} from '#gateway/openai/request/tokenize-request.ts';
import { parseTranscriptionRequest } from '#gateway/openai/request/transcription-request.ts';
import { parseResponseRequest } from '#gateway/responses/response-request.ts';
import { RESPONSE_USES } from '#gateway/responses/response-uses.ts';
import { refusalOf } from '#test/refusal.ts';
import { namesIn, UPSTREAM_FIELDS } from './upstream-fields.ts';

type Parse = (fields: Readonly<Record<string, unknown>>) => {
  readonly unknownFields: readonly UnknownField[];
};

/** Parses a form with a recording and the fields as texts. */
const parseForm: Parse = (fields) => {
  const form = new FormBody();
  form.files.push({ field: 'file', declaredType: 'audio/wav', bytes: Buffer.from('RIFF') });
  for (const [name, value] of Object.entries(fields)) form.texts.set(name, [String(value)]);
  return parseTranscriptionRequest(form);
};

const MESSAGES = { model: 'nano', messages: [{ role: 'user', content: 'hi' }] };

interface RouteCase {
  readonly table: FieldTable;
  readonly parse: Parse;
}

const ROUTES: Readonly<Record<keyof typeof UPSTREAM_FIELDS, RouteCase>> = {
  chat: {
    table: CHAT_USES,
    parse: (fields) => parseChatRequest({ messages: [{ role: 'user', content: 'hi' }], ...fields }),
  },
  embeddings: {
    table: EMBEDDING_USES,
    parse: (fields) =>
      parseEmbeddingRequest('messages' in fields ? fields : { input: 'hi', ...fields }),
  },
  responses: {
    table: RESPONSE_USES,
    parse: (fields) => parseResponseRequest({ input: 'hi', ...fields }),
  },
  messages: {
    table: MESSAGE_USES,
    parse: (fields) => parseMessageRequest({ ...MESSAGES, max_tokens: 5, ...fields }),
  },
  countTokens: {
    table: COUNT_USES,
    parse: (fields) => parseCountRequest({ ...MESSAGES, ...fields }),
  },
  completions: {
    table: COMPLETION_USES,
    parse: (fields) => parseCompletionRequest({ prompt: 'hi', ...fields }),
  },
  transcriptions: { table: TRANSCRIPTION_USES, parse: parseForm },
  tokenize: {
    table: TOKENIZE_USES,
    parse: (fields) =>
      parseTokenizeRequest('messages' in fields ? fields : { prompt: 'hi', ...fields }),
  },
  detokenize: {
    table: DETOKENIZE_USES,
    parse: (fields) => parseDetokenizeRequest({ tokens: [], ...fields }),
  },
};

/** Tells whether a field of a form takes every text. */
function isAnyText(route: string, field: string): boolean {
  return route === 'transcriptions' && ['model', 'prompt'].includes(field);
}

for (const [route, servers] of Object.entries(UPSTREAM_FIELDS)) {
  const { table, parse } = ROUTES[route as keyof typeof UPSTREAM_FIELDS];
  for (const [server, list] of Object.entries(servers)) {
    describe(`Of the fields of ${server}'s ${route}`, () => {
      for (const field of namesIn(list)) {
        const use = table.get(field);

        it(`${field} is ${use?.kind ?? 'in the table'}`, () => {
          assert(use !== undefined);
          if (use.kind === 'refused') {
            const refusal = refusalOf(() => parse({ [field]: 'x' }));
            assert.equal(refusal.param, field);
            assert.match(refusal.message, new RegExp(`^${field}: .`));
          } else if (use.kind === 'harmless') {
            assert.deepEqual(parse({ [field]: 'x' }).unknownFields, []);
          } else if (isAnyText(route, field)) {
            assert.deepEqual(parse({ [field]: 'x' }).unknownFields, []);
          } else if (field !== 'file') {
            // No honoured field takes this value, so whoever reads it refuses it.
            const refusal = refusalOf(() => parse({ [field]: [[{}]] }));
            assert(refusal.param?.startsWith(field), `${refusal.param}: ${refusal.message}`);
          }
        });
      }
    });
  }
}

describe('A field that nobody knows', () => {
  const { parse } = ROUTES.chat;

  const MISSPELLED: readonly (readonly [Readonly<Record<string, unknown>>, string, string])[] = [
    [{ temprature: 0 }, 'temprature', 'temperature'],
    [{ tempertaure: 0 }, 'tempertaure', 'temperature'],
    [{ max_token: 5 }, 'max_token', 'max_tokens'],
    [{ maxTokens: 5 }, 'maxTokens', 'max_tokens'],
    [{ 'top-p': 0.5 }, 'top-p', 'top_p'],
    [
      { stream: true, stream_options: { include_usag: true } },
      'stream_options.include_usag',
      'include_usage',
    ],
    [
      { messages: [{ role: 'user', contents: 'x', content: 'hi' }] },
      'messages[0].contents',
      'content',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'text', text: 'a', txt: 'b' }] }] },
      'messages[0].content[0].txt',
      'text',
    ],
    [{ thinking: { tpye: 'disabled' } }, 'thinking.tpye', 'type'],
    [{ reasoning: { efort: 'low' } }, 'reasoning.efort', 'effort'],
  ];
  for (const [fields, path, meant] of MISSPELLED) {
    it(`is taken for a misspelling: ${path} of ${meant}`, () => {
      assert.deepEqual(parse(fields).unknownFields, [{ path, meant }]);
    });
  }

  it('is reported without a guess if it is near none', () => {
    const { unknownFields } = parse({ frobnicate: 1, x: 2, [`tempe${'r'.repeat(1000)}`]: 3 });

    assert.deepEqual(
      unknownFields.map(({ meant }) => meant),
      [undefined, undefined, undefined],
    );
  });

  it('is reported five times a request at most', () => {
    const many = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`field${i}`, 1]));

    assert.equal(parse(many).unknownFields.length, 5);
  });

  it('is nothing more if it names a prototype', () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      const body: unknown = JSON.parse(
        `{"messages":[{"role":"user","content":"hi","${name}":{"n":2}}],"${name}":{"n":2}}`,
      );

      const { unknownFields, start } = parseChatRequest(body);

      const paths = unknownFields.map(({ path }) => path);
      assert.deepEqual(paths, [`messages[0].${name}`, name]);
      assert.equal(start.sampling?.numChoices, undefined);
    }
  });

  it('goes without a report if it is null', () => {
    assert.deepEqual(parse({ frobnicate: null }).unknownFields, []);
  });
});

describe('A refused field', () => {
  const IDLE: readonly Readonly<Record<string, unknown>>[] = [
    { tools: [], functions: [], tool_choice: 'none', response_format: { type: 'text' } },
    { best_of: 2, n: 2 },
    { typical_p: 1, mirostat: 0, mirostat_tau: 5, dry_multiplier: 0, repeat_penalty: 1 },
    { grammar: '', regex: '', stop_sequences: [], kv_transfer_params: {}, documents: [] },
    { use_beam_search: false, length_penalty: 1, truncation_side: 'left', cache_prompt: true },
    { n_predict: -1, max_new_tokens: null, add_special_tokens: false },
  ];
  for (const fields of IDLE) {
    it(`is accepted where it asks for nothing: ${JSON.stringify(fields)}`, () => {
      assert.deepEqual(ROUTES.chat.parse(fields).unknownFields, []);
    });
  }

  it('names the field of this server that does the same', () => {
    const names = { max_new_tokens: 'max_tokens', stop_sequences: 'stop', rid: 'request_id' };
    for (const [field, instead] of Object.entries(names)) {
      const { message } = refusalOf(() => ROUTES.chat.parse({ [field]: 'x' }));
      assert(message.endsWith(`use ${instead}`), message);
    }
  });
});
