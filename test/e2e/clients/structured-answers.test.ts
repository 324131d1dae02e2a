import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { ChatOpenAI } from '@langchain/openai';
import { generateObject, generateText, Output, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { PACKAGE_ROOT } from '#mesh/paths.ts';
import { type Mesh, startMesh } from '#test/e2e/mesh.ts';

const MODEL = 'phone-nano';
const QUESTION = '打开微信';
/** The demo model's own template shows no tools. */
const TEMPLATE = join(PACKAGE_ROOT, 'test', 'testdata', 'templates', 'pairs.jinja');

/** A plan whose every text is short, so that an untrained answer is short as well. */
const PLAN = z.object({
  app: z.enum(['微信', 'Music']),
  steps: z.array(z.object({ name: z.string().max(8), wait_s: z.int().min(0).max(60) })).max(2),
  note: z.string().max(12).nullable(),
});
const TAP = z.object({ x: z.int().min(0).max(999), y: z.int().min(0).max(999) });

let mesh: Mesh;
before(async () => {
  mesh = await startMesh({
    backbone: [`chat-template: ${TEMPLATE}`, 'tool-call-parser: hermes'],
  });
});
after(() => mesh.stop());

const messages = [{ role: 'user' as const, content: QUESTION }];
const client = () => new OpenAI({ baseURL: `${mesh.url}/v1`, apiKey: 'none', maxRetries: 0 });

describe('The openai package with zod', () => {
  const format = zodResponseFormat(PLAN, 'plan');

  it('parses an answer of a schema', async () => {
    const { choices } = await client().chat.completions.parse({
      model: MODEL,
      messages,
      response_format: format,
    });

    assert.deepEqual(PLAN.parse(choices[0]?.message.parsed), choices[0]?.message.parsed);
  });

  it('parses a streamed answer of a schema', async () => {
    const stream = client().chat.completions.stream({
      model: MODEL,
      messages,
      response_format: format,
    });

    const { choices } = await stream.finalChatCompletion();

    assert.deepEqual(PLAN.parse(choices[0]?.message.parsed), choices[0]?.message.parsed);
  });

  it('parses the arguments of a call that is demanded', async () => {
    const { choices } = await client().chat.completions.parse({
      model: MODEL,
      messages,
      tools: [zodFunction({ name: 'tap', parameters: TAP })],
      tool_choice: { type: 'function', function: { name: 'tap' } },
    });

    const [call] = choices[0]?.message.tool_calls ?? [];
    assert.equal(call?.function.name, 'tap');
    assert.deepEqual(TAP.parse(call.function.parsed_arguments), call.function.parsed_arguments);
  });
});

describe('@langchain/openai', () => {
  const model = (fields = {}) =>
    new ChatOpenAI({
      ...fields,
      model: MODEL,
      apiKey: 'none',
      maxRetries: 0,
      configuration: { baseURL: `${mesh.url}/v1` },
    });

  for (const method of ['jsonSchema', 'functionCalling'] as const) {
    it(`gives answers a structure by ${method}`, async () => {
      const plan = await model()
        .withStructuredOutput(PLAN, { method, name: 'plan' })
        .invoke(QUESTION);

      assert.deepEqual(PLAN.parse(plan), plan);
    });
  }

  it('gives answers a structure by jsonMode', async () => {
    const options = { method: 'jsonMode', includeRaw: true } as const;
    const anything = z.record(z.string(), z.unknown());
    // The model may not come to an end of an object that has no schema.
    const structured = model({ maxTokens: 20 }).withStructuredOutput(anything, options);

    const { raw } = await structured.invoke(QUESTION);

    assert.match(raw.text, /^\{/);
  });

  it('makes the model call one of the tools that are bound', async () => {
    const tap = { name: 'tap', description: 'Taps', schema: TAP };

    const message = await model().bindTools([tap], { tool_choice: 'required' }).invoke(QUESTION);

    const [call] = message.tool_calls ?? [];
    assert.equal(call?.name, 'tap');
    assert.deepEqual(TAP.parse(call.args), call.args);
  });
});

describe('The ai package over @ai-sdk/openai-compatible', () => {
  const modelOf = (supportsStructuredOutputs: boolean) =>
    createOpenAICompatible({
      name: 'mesh',
      baseURL: `${mesh.url}/v1`,
      includeUsage: true,
      supportsStructuredOutputs,
    })(MODEL);

  it('generates and streams the text that the openai package gets, and its usage', async () => {
    const request = { model: modelOf(false), prompt: QUESTION, maxOutputTokens: 20 };
    const body = { model: MODEL, messages, max_tokens: 20 };
    const { choices, usage } = await client().chat.completions.create(body);

    const whole = await generateText(request);
    const streamed = streamText(request);

    assert.equal(whole.text, choices[0]?.message.content);
    assert.equal(await streamed.text, whole.text);
    for (const counted of [whole.usage, await streamed.usage]) {
      assert.equal(counted.inputTokens, usage?.prompt_tokens);
      assert.equal(counted.outputTokens, usage?.completion_tokens);
    }
  });

  it('generates an object of a schema', async () => {
    const { object } = await generateObject({
      model: modelOf(true),
      schema: PLAN,
      prompt: QUESTION,
    });

    assert.deepEqual(PLAN.parse(object), object);
  });

  it('streams an object of a schema', async () => {
    const { output } = streamText({
      model: modelOf(true),
      output: Output.object({ schema: PLAN }),
      prompt: QUESTION,
    });

    const plan = await output;

    assert.deepEqual(PLAN.parse(plan), plan);
  });

  it('makes the model call a tool', async () => {
    const { toolCalls, finishReason } = await generateText({
      model: modelOf(false),
      prompt: QUESTION,
      tools: { tap: tool({ inputSchema: TAP }) },
      toolChoice: 'required',
    });

    assert.equal(toolCalls[0]?.toolName, 'tap');
    assert.deepEqual(TAP.parse(toolCalls[0].input), toolCalls[0].input);
    assert.equal(finishReason, 'tool-calls');
  });
});

describe('@anthropic-ai/sdk with tools', () => {
  const request = {
    model: MODEL,
    max_tokens: 100,
    messages,
    tools: [
      {
        name: 'tap',
        input_schema: { ...z.toJSONSchema(TAP), type: 'object' as const },
      },
    ],
    tool_choice: { type: 'any' as const },
  };
  const anthropic = () => new Anthropic({ baseURL: mesh.url, apiKey: 'none', maxRetries: 0 });

  for (const stream of [false, true]) {
    it(`gets a call that is demanded, ${stream ? 'streamed' : 'whole'}`, async () => {
      const { content, stop_reason } = await (stream
        ? anthropic().messages.stream(request).finalMessage()
        : anthropic().messages.create(request));

      const call = content.find(({ type }) => type === 'tool_use');
      assert(call?.type === 'tool_use', JSON.stringify(content));
      assert.deepEqual(TAP.parse(call.input), call.input);
      assert.equal(stop_reason, 'tool_use');
    });
  }

  it('counts the tokens of tools', async () => {
    const { model, messages, tools } = request;
    const bare = await anthropic().messages.countTokens({ model, messages });

    const withTools = await anthropic().messages.countTokens({ model, messages, tools });

    assert(withTools.input_tokens > bare.input_tokens);
  });
});
