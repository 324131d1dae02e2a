import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import {
  DetokenizeRequest,
  GenerateRequest,
  TokenizeRequest,
} from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { RawCaller } from '#test/contract/raw-call.ts';
import { checkMutants, type Specimen } from '#test/mutations.ts';
import { chatOf, startOf, startTestBackbone, type TestBackbone } from './harness.ts';

const SERVICE = '/autoglm.llm.v1.LlmBackboneService';

function specimen(name: string, bytes: Uint8Array): Specimen {
  const numHead = Math.min(24, bytes.length);
  const fields = Array.from({ length: numHead }, (_, at) => ({ at, numBytes: 1 }));
  return { name, bytes: Buffer.from(bytes), fields };
}

type Start = ReturnType<typeof startOf>;

function generate(name: string, start: Start): Specimen {
  const request = GenerateRequest.fromPartial({ event: { $case: 'start', value: start } });
  return specimen(name, GenerateRequest.encode(request).finish());
}

const SAMPLING: Start['sampling'] = {
  temperature: 0.7,
  topP: 0.9,
  topK: 5,
  minP: 0.01,
  repetitionPenalty: 1.1,
  presencePenalty: 0.5,
  frequencyPenalty: 0.5,
  logitBias: { 5: 1 },
  seed: 7n,
  allowedTokenIds: [1, 2, 3],
  badWords: ['no'],
  maxTokens: 4,
  minTokens: 1,
  stopStrings: ['end'],
  stopTokenIds: [9],
  numChoices: 2,
};

const STARTS: readonly Specimen[] = [
  generate('token ids', startOf({ sampling: { maxTokens: 4 } })),
  generate('a chat', startOf({ prompt: chatOf('Who are you?'), sampling: { maxTokens: 4 } })),
  generate('sampling', startOf({ sampling: SAMPLING })),
  generate(
    'resume',
    startOf({
      output: { numLogprobs: 2, numPromptLogprobs: 2, returnPromptTokenIds: true },
      sampling: { maxTokens: 8 },
      priority: 0,
      resume: { seed: 7n, choices: [{ index: 0, tokenIds: [3, 4] }] },
    }),
  ),
];

const TOKENIZE = specimen(
  'a text',
  TokenizeRequest.encode(
    TokenizeRequest.fromPartial({ prompt: { form: { $case: 'text', value: { text: 'Hi' } } } }),
  ).finish(),
);

const DETOKENIZE = specimen(
  'ids',
  DetokenizeRequest.encode(DetokenizeRequest.fromPartial({ tokenIds: [5, 6, 300] })).finish(),
);

/** Has a backbone with its caller while the tests of a suite run. */
function calledBackbone() {
  let backbone: TestBackbone;
  let caller: RawCaller;
  before(async () => {
    backbone = await startTestBackbone(undefined, { maxModelLen: 64 });
    caller = new RawCaller(backbone.backbone.address);
  });
  after(async () => {
    caller.close();
    await backbone.close();
  });
  return {
    get caller() {
      return caller;
    },
  };
}

describe('a damaged message to the backbone is answered or refused', () => {
  const backbone = calledBackbone();

  for (const { method, specimens, numRandom } of [
    { method: 'Generate', specimens: STARTS, numRandom: 60 },
    { method: 'Tokenize', specimens: [TOKENIZE], numRandom: 120 },
    { method: 'Detokenize', specimens: [DETOKENIZE], numRandom: 120 },
  ]) {
    it(method, async () => {
      const path = `${SERVICE}/${method}`;
      const outcomes = { numAnswered: 0, numRefused: 0 };
      for (const { bytes, name } of specimens) {
        assert(await backbone.caller.isAnswered(path, [bytes]), `${name} is refused undamaged`);
      }

      await checkMutants(specimens, numRandom, async (bytes) => {
        if (await backbone.caller.isAnswered(path, [bytes])) outcomes.numAnswered += 1;
        else outcomes.numRefused += 1;
      });

      assert(outcomes.numAnswered > 0 && outcomes.numRefused > 0, JSON.stringify(outcomes));
    });
  }
});

/** Repeats a field that has no bytes. */
function emptyFields(tag: number, count: number): Buffer {
  return Buffer.alloc(2 * count, Buffer.of(tag, 0));
}

/** Puts bytes into a field, as a message or a list of numbers has them. */
function within(field: number, bytes: Buffer): Buffer {
  const head = new BinaryWriter()
    .uint32((field << 3) | 2)
    .uint32(bytes.length)
    .finish();
  return Buffer.concat([head, bytes]);
}

const MILLIONS = 9_000_000;

describe('a message to the backbone that is made to cost more than its bytes', () => {
  const backbone = calledBackbone();

  for (const { what, method, bytes } of [
    { what: 'media items', method: 'Tokenize', bytes: within(2, emptyFields(0x22, MILLIONS)) },
    {
      what: 'parts of a chat',
      method: 'Tokenize',
      bytes: within(2, within(1, within(1, within(3, emptyFields(0x0a, MILLIONS))))),
    },
    { what: 'token ids', method: 'Detokenize', bytes: within(2, Buffer.alloc(2 * MILLIONS, 5)) },
    {
      what: 'choices to resume',
      method: 'Generate',
      bytes: within(1, within(7, emptyFields(0x12, MILLIONS))),
    },
  ]) {
    it(`is refused before it is read whole: millions of ${what}`, async () => {
      const refused = await backbone.caller.refusalOf(`${SERVICE}/${method}`, [bytes]);

      assert.equal(refused?.reason, 'PAYLOAD_TOO_LARGE');
      assert.match(refused.message, /more than 1200000 fields, lengths and values of lists/);
    });
  }

  it('ends its call alone: what was taken in for it is given back', async () => {
    const [start] = STARTS;
    assert(start !== undefined);

    const refused = await backbone.caller.refusalOf(`${SERVICE}/Generate`, [
      start.bytes,
      Buffer.of(0xff),
    ]);

    assert.equal(refused?.reason, 'INVALID_REQUEST');
    assert.match(refused.message, /cannot be read: it is damaged/);
    assert(await backbone.caller.isAnswered(`${SERVICE}/Generate`, [start.bytes]));
  });
});
