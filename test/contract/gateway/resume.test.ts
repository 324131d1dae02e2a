import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { MeshError } from '#mesh/errors.ts';
import { isRecord } from '#mesh/json-value.ts';
import type { GenerateStart } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import { Numerics } from '#protos/autoglm/mesh/v1/instance.ts';
import { aborted, accepted, delta, FakeBackbone, finished, stopped } from './fake-backbone.ts';
import {
  CHAT,
  eventsOf,
  type Harness,
  type HarnessOptions,
  jsonOf,
  startHarness,
} from './harness.ts';

const PATH = '/v1/chat/completions';
const WORDS = ['one ', 'two ', 'three ', 'four ', 'five'];

let harness: Harness;

/** Returns the number of tokens of a choice that a start says were delivered. */
function numDelivered({ resume }: GenerateStart, index: number): number {
  return resume?.choices.find((choice) => choice.index === index)?.tokenIds.length ?? 0;
}

interface Behaviour {
  readonly numChoices?: number;
  /** Ends the first run after two tokens; it is not to return. */
  readonly breakOff?: (backbone: FakeBackbone, signal: AbortSignal) => Promise<void>;
}

/** Breaks off as a process does that was killed. */
async function killed(backbone: FakeBackbone, signal: AbortSignal): Promise<void> {
  // The server closes when this call has ended.
  void backbone.kill();
  await aborted(signal);
}

/**
 * Starts two backbones that count up to five in every choice, from where a resume says; token ids
 * are positions. Whichever is asked first breaks off after two tokens.
 */
async function startPair(
  options: HarnessOptions = {},
  { numChoices = 1, breakOff = killed }: Behaviour = {},
): Promise<readonly FakeBackbone[]> {
  const backbones = [new FakeBackbone(), new FakeBackbone()];
  const indices = Array.from({ length: numChoices }, (_, index) => index);
  for (const backbone of backbones) {
    backbone.script = async function* (start, signal) {
      const isFirst = backbones.flatMap(({ starts }) => starts).length === 1;
      yield accepted({ seed: start.resume?.seed ?? 77n, numCachedTokens: isFirst ? 4 : 7 });
      for (const i of WORDS.keys()) {
        if (isFirst && i === 2) await breakOff(backbone, signal);
        const entries = indices.flatMap((index) => entryAt(numDelivered(start, index) + i, index));
        if (entries.length > 0) yield delta(...entries);
      }
      yield finished({
        numCompletionTokens: WORDS.length * numChoices,
        numCachedTokens: 7,
        choices: indices.map((index) => stopped(index)),
      });
    };
  }
  harness = await startHarness({ backbones, ...options });
  return backbones;
}

function entryAt(position: number, index: number) {
  const text = WORDS[position];
  if (text === undefined) return [];
  const isLast = position === WORDS.length - 1;
  return [{ index, text, tokenIds: [position], ...(isLast && { finish: stopped(index) }) }];
}

/** Changes the facts of the second backbone, and waits until the gateway has asked it again. */
async function changeSecond(facts: Parameters<FakeBackbone['status']['change']>[0]): Promise<void> {
  harness.backbones[1]?.status.change(facts);
  await new Promise((resolve) => setTimeout(resolve, 100));
}

function textsOf(events: readonly unknown[]): string[] {
  const texts = ['', ''];
  for (const event of events) {
    if (!isRecord(event) || !Array.isArray(event['choices'])) continue;
    for (const choice of event['choices']) {
      assert(isRecord(choice));
      const { index, delta: part } = choice;
      const text = isRecord(part) ? part['content'] : undefined;
      if (typeof index === 'number' && typeof text === 'string') texts[index] += text;
    }
  }
  return texts.filter((text) => text !== '');
}

/** Returns what counts as sent again: a resumed answer is no retry. */
async function resumes(): Promise<string[]> {
  const text = await (await harness.get('/metrics')).text();
  return text
    .split('\n')
    .filter((line) => /^autoglm:gateway_(resumes|retries)_total.* [1-9]/.test(line));
}

describe('An answer whose backbone is lost', () => {
  afterEach(() => harness.close());

  it('goes on at another one behind the last token, with the seed in use', async () => {
    const backbones = await startPair();

    const response = await harness.post(PATH, {
      ...CHAT,
      stream: true,
      stream_options: { include_usage: true },
    });
    const events = eventsOf(await response.text());

    assert.deepEqual(textsOf(events), [WORDS.join('')]);
    assert.equal(events.at(-1), '[DONE]');
    const resumed = backbones.flatMap(({ starts }) => starts.flatMap(({ resume }) => resume ?? []));
    assert.deepEqual(resumed, [{ seed: 77n, choices: [{ index: 0, tokenIds: [0, 1] }] }]);
    const usage = events.flatMap((event) => (isRecord(event) && event['usage']) || []);
    assert.equal(usage.length, 1);
    assert(isRecord(usage[0]));
    assert.equal(usage[0]['completion_tokens'], 5);
    const { prompt_tokens_details: details } = usage[0];
    assert(isRecord(details));
    assert.equal(details['cached_tokens'], 4);
    assert.deepEqual(await resumes(), ['autoglm:gateway_resumes_total{exact="true"} 1']);
  });

  it('is whole if nothing is streamed', async () => {
    await startPair();

    const response = await harness.post(PATH, CHAT);

    const { choices } = await jsonOf(response);
    assert(Array.isArray(choices));
    assert.equal(choices[0].message.content, WORDS.join(''));
    assert.equal(choices[0].finish_reason, 'stop');
  });

  it('goes on in every choice', async () => {
    await startPair({}, { numChoices: 2 });

    const events = eventsOf(
      await (await harness.post(PATH, { ...CHAT, n: 2, stream: true })).text(),
    );

    assert.deepEqual(textsOf(events), [WORDS.join(''), WORDS.join('')]);
  });

  it('goes on when the backbone ends its work', async () => {
    const drained = async () => {
      throw new MeshError('DRAINING', 'ends');
    };
    await startPair({}, { breakOff: drained });

    const events = eventsOf(await (await harness.post(PATH, { ...CHAT, stream: true })).text());

    assert.deepEqual(textsOf(events), [WORDS.join('')]);
  });

  it('breaks off if more are lost than allowed', async () => {
    await startPair({ maxResumes: 0 });

    const text = await (await harness.post(PATH, { ...CHAT, stream: true })).text();

    assert.equal(eventsOf(text).includes('[DONE]'), false);
    assert.match(text, /no_ready_endpoint/);
  });
});

describe('An answer whose backbone is lost among unequal ones', () => {
  afterEach(() => harness.close());

  const otherNumerics = { numerics: Numerics.fromPartial({ isa: 'avx512', numRanks: 1 }) };
  const otherWeights = { fingerprint: 'f'.repeat(64) };
  for (const [what, facts] of Object.entries({ otherNumerics, otherWeights })) {
    it(`is not mixed with that of ${what}`, async () => {
      await startPair();
      await changeSecond(facts);

      const text = await (await harness.post(PATH, { ...CHAT, stream: true })).text();

      assert.equal(eventsOf(text).includes('[DONE]'), false);
      assert.match(text, /no_ready_endpoint/);
      assert.deepEqual(await resumes(), []);
    });
  }

  it('goes on, and says so, where that is allowed', async () => {
    await startPair({ resumeAcrossNumerics: true });
    await changeSecond(otherNumerics);

    const text = await (await harness.post(PATH, { ...CHAT, stream: true })).text();

    assert.deepEqual(textsOf(eventsOf(text)), [WORDS.join('')]);
    assert.match(text, /^: x-autoglm-served-by: resumed:other-numerics/m);
    assert.deepEqual(await resumes(), ['autoglm:gateway_resumes_total{exact="false"} 1']);
  });
});
