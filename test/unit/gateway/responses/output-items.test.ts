import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type ItemEvent, OutputItems } from '#gateway/responses/output-items.ts';
import { Channel, ChoiceDelta, type ToolCallDelta } from '#protos/autoglm/llm/v1/llm_backbone.ts';

const text = (value: string) => ChoiceDelta.create({ text: value });
const thought = (value: string) =>
  ChoiceDelta.create({ text: value, channel: Channel.CHANNEL_REASONING });
const call = (toolCall: ToolCallDelta, value: string) =>
  ChoiceDelta.create({ text: value, channel: Channel.CHANNEL_TOOL_CALL, toolCall });

function gather(entries: readonly ChoiceDelta[], status: 'completed' | 'incomplete') {
  const items = new OutputItems({ hasLogprobs: false });
  const events: ItemEvent[] = entries.flatMap((entry) => items.add(entry));
  events.push(...items.end(status));
  return { items: items.items, events };
}

describe('OutputItems', () => {
  it('begins an item where the kind changes, and a further one for each call', () => {
    const { items } = gather(
      [
        thought('a'),
        thought('b'),
        text('c'),
        call({ index: 0, name: 'tap' }, '{'),
        call({ index: 0, name: undefined }, '}'),
        call({ index: 1, name: 'tap' }, '{}'),
        text('d'),
      ],
      'completed',
    );

    assert.deepEqual(
      items.map((item) => {
        if (item.type === 'function_call') return [item.type, item.arguments];
        return [item.type, item.content[0]?.text];
      }),
      [
        ['reasoning', 'ab'],
        ['message', 'c'],
        ['function_call', '{}'],
        ['function_call', '{}'],
        ['message', 'd'],
      ],
    );
    assert.equal(new Set(items.map(({ id }) => id)).size, items.length);
  });

  it('tells nothing of an entry without news', () => {
    assert.deepEqual(gather([text(''), thought('')], 'completed'), { items: [], events: [] });
  });

  it('has deltas that add up to what its last events say', () => {
    const { events } = gather([text('a'), text('b')], 'completed');

    const deltas = events.filter(({ type }) => type === 'response.output_text.delta');
    const done = events.find(({ type }) => type === 'response.output_text.done');
    assert.equal(deltas.map((one) => one['delta']).join(''), 'ab');
    assert.equal(done?.['text'], 'ab');
    assert(events.every((one) => one['output_index'] === 0));
  });

  it('marks a call that the end of the answer has cut, and no earlier item', () => {
    const { items } = gather([text('a'), call({ index: 0, name: 'tap' }, '{"x"')], 'incomplete');

    assert.deepEqual(
      items.map(({ status }) => status),
      ['completed', 'incomplete'],
    );
  });
});
