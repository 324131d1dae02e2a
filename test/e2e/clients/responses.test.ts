import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod';
import type { ResponseInputItem } from 'openai/resources/responses/responses';
import { z } from 'zod';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';
import { readMedia } from '#test/e2e/request/phone-cases.ts';

const MODEL = 'phone-nano';
const QUESTION = '打开微信';
/** The demo model's own template shows no tools. */
const TEMPLATE = join(PACKAGE_ROOT, 'test', 'testdata', 'templates', 'pairs.jinja');

const TAP = z.object({ x: z.int().min(0).max(999), y: z.int().min(0).max(999) });
const CHOICE = z.object({ app: z.enum(['微信', 'Music']), sure: z.boolean() });

let mesh: Mesh;
before(async () => {
  mesh = await startMesh({
    backbone: [`chat-template: ${TEMPLATE}`, 'tool-call-parser: hermes'],
  });
});
after(() => mesh.stop());

const client = () => new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none', maxRetries: 0 });
const request = { model: MODEL, input: QUESTION, max_output_tokens: 20 };

describe('The openai package with responses', () => {
  it('gets the text and the usage of the same chat, whole and streamed', async () => {
    const { choices, usage } = await client().chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: QUESTION }],
      max_tokens: 20,
    });

    const whole = await client().responses.create(request);
    const streamed = await client().responses.stream(request).finalResponse();

    for (const response of [whole, streamed]) {
      assert.equal(response.output_text, choices[0]?.message.content);
      assert.equal(response.usage?.input_tokens, usage?.prompt_tokens);
      assert.equal(response.usage?.output_tokens, usage?.completion_tokens);
    }
  });

  it('sees what an image of a chat shows', async () => {
    const url = `data:image/png;base64,${readMedia('media/image8.png').toString('base64')}`;
    const text = 'What apps do you see?';
    const { choices, usage } = await client().chat.completions.create({
      model: MODEL,
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url } },
            { type: 'text', text },
          ],
        },
      ],
      max_tokens: 20,
    });

    const response = await client().responses.create({
      ...request,
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_image', image_url: url, detail: 'auto' },
            { type: 'input_text', text },
          ],
        },
      ],
    });

    assert.equal(response.output_text, choices[0]?.message.content);
    assert.equal(response.usage?.input_tokens, usage?.prompt_tokens);
  });

  it('parses an answer of a schema, whole and streamed', async () => {
    const asked = { model: MODEL, input: QUESTION, text: { format: zodTextFormat(CHOICE, 'a') } };

    const whole = await client().responses.parse(asked);
    const streamed = await client().responses.stream(asked).finalResponse();

    for (const { output_parsed: parsed } of [whole, streamed]) {
      assert.deepEqual(CHOICE.parse(parsed), parsed);
    }
  });

  it('gets a call that is demanded, and an answer to its result', async () => {
    const tools = [zodResponsesFunction({ name: 'tap', parameters: TAP })];
    const input: ResponseInputItem[] = [{ role: 'user', content: QUESTION }];
    const first = await client().responses.parse({
      model: MODEL,
      input,
      tools,
      tool_choice: { type: 'function', name: 'tap' },
    });
    const call = first.output.find(({ type }) => type === 'function_call');
    assert(call?.type === 'function_call', JSON.stringify(first.output));
    assert.deepEqual(TAP.parse(call.parsed_arguments), call.parsed_arguments);
    const { parsed_arguments: _, ...item } = call;
    input.push(item, { type: 'function_call_output', call_id: call.call_id, output: 'done' });

    const last = await client().responses.create({
      ...request,
      input,
      tools,
      tool_choice: 'none',
    });

    assert(last.status === 'completed' || last.status === 'incomplete');
    assert((last.usage?.output_tokens ?? 0) > 0);
  });
});
