import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { isRecord } from '#mesh/json-value.ts';
import { Channel, FinishReason } from '#protos/autoglm/llm/v1/llm_backbone.ts';
import {
  accepted,
  candidate,
  delta,
  type Events,
  finished,
} from '#test/contract/gateway/fake-backbone.ts';
import {
  CHAT,
  errorOf,
  eventsOf,
  type Harness,
  jsonOf,
  startHarness,
} from '#test/contract/gateway/harness.ts';

const PATH = '/v1/chat/completions';
const TOOLS = ['weather', 'time'].map((name) => ({ type: 'function', function: { name } }));

const call = (index: number, name: string | undefined, text: string) =>
  ({ text, channel: Channel.CHANNEL_TOOL_CALL, toolCall: { index, name } }) as const;

const ended = { index: 0, reason: FinishReason.FINISH_REASON_TOOL_CALLS, stop: undefined };

/** Says a sentence, then calls two tools, the second within one step. */
async function* calling(): Events {
  yield accepted();
  yield delta({ text: 'I look.' });
  yield delta(call(0, 'weather', ''));
  yield delta(call(0, undefined, '{"city":'));
  yield delta({ text: '' });
  yield delta(
    { ...call(0, undefined, '"Bonn"}') },
    { ...call(1, 'time', ''), tokenIds: [] },
    { ...call(1, undefined, '{}'), tokenIds: [], finish: ended },
  );
  yield finished({ choices: [ended], numCompletionTokens: 5 });
}

describe('a chat with tools', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness();
  });
  after(() => harness.close());

  async function choiceOf(fields: object): Promise<Readonly<Record<string, unknown>>> {
    const { choices } = await jsonOf(await harness.post(PATH, { ...CHAT, ...fields }));
    assert(Array.isArray(choices) && isRecord(choices[0]));
    return choices[0];
  }

  it('answers with its calls, each with a name of its own', async () => {
    harness.backbone.script = calling;

    const { message, finish_reason } = await choiceOf({ tools: TOOLS });

    assert(isRecord(message) && Array.isArray(message['tool_calls']));
    const ids = message['tool_calls'].map((one: { id: string }) => one.id);
    assert.equal(finish_reason, 'tool_calls');
    assert.equal(message['content'], 'I look.');
    assert.deepEqual(message['tool_calls'], [
      { id: ids[0], type: 'function', function: { name: 'weather', arguments: '{"city":"Bonn"}' } },
      { id: ids[1], type: 'function', function: { name: 'time', arguments: '{}' } },
    ]);
    for (const id of ids) assert.match(id, /^call_[0-9a-f]{24}$/);
    assert.notEqual(ids[0], ids[1]);
  });

  it('has no content if it only calls, and no calls if it only speaks', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta(call(0, 'time', ''), { ...call(0, undefined, '{}'), finish: ended });
      yield finished({ choices: [ended] });
    };

    const called = await choiceOf({ tools: TOOLS });
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta({ text: 'No.' });
      yield finished();
    };
    const spoken = await choiceOf({ tools: TOOLS });

    assert(isRecord(called['message']) && isRecord(spoken['message']));
    assert.equal(called['message']['content'], null);
    assert.equal(spoken['message']['content'], 'No.');
    assert(!('tool_calls' in spoken['message']));
  });

  it('streams calls: the name first, then the arguments, those of one step together', async () => {
    harness.backbone.script = calling;

    const response = await harness.post(PATH, { ...CHAT, tools: TOOLS, stream: true });
    const events = eventsOf(await response.text());

    const deltas = events.slice(1, -1).map((event) => {
      assert(isRecord(event) && Array.isArray(event['choices']));
      const { delta: added, finish_reason } = event['choices'][0];
      return { delta: added, finish_reason };
    });
    const idOf = (i: number, j: number) => deltas[i]?.delta.tool_calls[j].id;
    const go = { finish_reason: null };
    const named = (index: number, id: unknown, name: string, args: string) => {
      return { index, id, type: 'function', function: { name, arguments: args } };
    };
    assert.deepEqual(deltas, [
      { delta: { content: 'I look.' }, ...go },
      { delta: { tool_calls: [named(0, idOf(1, 0), 'weather', '')] }, ...go },
      { delta: { tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }, ...go },
      {
        delta: {
          tool_calls: [
            { index: 0, function: { arguments: '"Bonn"}' } },
            named(1, idOf(3, 1), 'time', '{}'),
          ],
        },
        finish_reason: 'tool_calls',
      },
    ]);
    assert.equal(events.at(-1), '[DONE]');
  });

  it('scores the tokens of calls as those of text', async () => {
    harness.backbone.script = async function* () {
      const logprobs = [{ token: candidate(3, '{', -0.5), rank: 1, top: [] }];
      yield accepted();
      yield delta({ ...call(0, 'time', '{'), logprobs, finish: ended });
      yield finished({ choices: [ended] });
    };

    const { logprobs } = await choiceOf({ tools: TOOLS, logprobs: true });

    const token = { token: '{', logprob: -0.5, bytes: [0x7b], top_logprobs: [] };
    assert.deepEqual(logprobs, { content: [token] });
  });

  it('keeps the calls of each choice apart', async () => {
    harness.backbone.script = async function* () {
      yield accepted();
      yield delta(call(0, 'time', '{}'), { ...call(0, 'weather', '{"a":1}'), index: 1 });
      yield finished({ choices: [ended, { ...ended, index: 1 }] });
    };

    const { choices } = await jsonOf(await harness.post(PATH, { ...CHAT, tools: TOOLS, n: 2 }));

    assert(Array.isArray(choices));
    assert.deepEqual(
      choices.map(({ message }) => message.tool_calls[0].function),
      [
        { name: 'time', arguments: '{}' },
        { name: 'weather', arguments: '{"a":1}' },
      ],
    );
  });

  it('asks the mesh for the tools and how to call them', async () => {
    harness.backbone.script = calling;

    await choiceOf({ tools: TOOLS, parallel_tool_calls: false });

    const start = harness.backbone.starts.at(-1);
    assert(start?.prompt?.form?.$case === 'chat');
    assert.deepEqual(
      start.prompt.form.value.tools.map(({ functionJson }) => functionJson),
      ['{"name":"weather"}', '{"name":"time"}'],
    );
    assert.deepEqual(start.toolChoice, {
      required: false,
      name: undefined,
      allowedNames: [],
      singleCall: true,
    });
  });

  it('is refused if a call of its history has no result', async () => {
    const asked = { id: 'a', type: 'function', function: { name: 'time', arguments: '{}' } };
    const messages = [...CHAT.messages, { role: 'assistant', tool_calls: [asked] }];

    const response = await harness.post(PATH, { messages, tools: TOOLS });

    assert.equal(response.status, 400);
    assert.equal((await errorOf(response)).param, 'messages[1].tool_calls[0]');
  });
});
