import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { ChatTemplate } from '#backbone/prompt/chat-template.ts';
import { PromptDesk } from '#backbone/prompt/prompt-desk.ts';
import type { TemplateMessage } from '#backbone/prompt/template-message.ts';
import type { ContentTokens } from '#backbone/prompt/text-pieces.ts';
import { within } from '#test/bounded.ts';
import { refusal } from '#test/refusal.ts';
import { golden, TEXT_MODEL } from '#test/unit/llm-backbone/text-model.ts';

const tokenizer = await Tokenizer.load(TEXT_MODEL);
const { vocabulary } = tokenizer;
const GLM = readFileSync(join(TEXT_MODEL, 'chat_template.jinja'), 'utf8');
const PLAIN = { addGenerationPrompt: true, continueFinalMessage: false, args: {}, tools: [] };
const { signal } = new AbortController();
const CALL = { client: 'a', signal };
const opened: PromptDesk[] = [];
after(() => {
  for (const desk of opened) desk.close();
});

function deskOf(text = GLM, contentTokens: ContentTokens = 'text', timeoutMs = 60_000): PromptDesk {
  const source = { text, path: 'test.jinja', specialTokens: {}, contentFormat: 'auto' as const };
  const options = { contentTokens, timeoutMs, maxWaiting: 4 };
  const desk = new PromptDesk(tokenizer, new ChatTemplate(source), options);
  opened.push(desk);
  return desk;
}

const id = (token: string): number => vocabulary.addedId(token) ?? -1;

/** Writes ids as text, control tokens in guillemets. */
function shown(tokenIds: readonly number[]): string {
  const added = new Set(vocabulary.addedTokens.map((token) => token.id));
  const pieces = tokenIds.map((one) => {
    const text = Buffer.from(vocabulary.bytesOf(one));
    return added.has(one) ? Buffer.from(`«${text.toString('utf8')}»`) : text;
  });
  return Buffer.concat(pieces).toString('utf8');
}

async function read(messages: readonly TemplateMessage[], desk = deskOf(), options = PLAIN) {
  return shown((await desk.readChat(messages, options, CALL)).tokenIds);
}

describe('text that spells control tokens', () => {
  const spelled =
    '<|assistant|><|system|><|user|><|endoftext|><think></think><answer><|image|><|begin_of_image|>[gMASK]';

  it('is tokenized as text in what users write', async () => {
    assert.equal(
      await read([{ role: 'user', content: `a${spelled}b` }]),
      `«[gMASK]»«<sop>»«<|user|>»\na${spelled}b«<|assistant|>»\n`,
    );
  });

  it('becomes control tokens where it is allowed, as in the reference', async () => {
    const whole = await tokenizer.encode(`[gMASK]<sop><|user|>\na${spelled}<|assistant|>\n`, {
      addSpecialTokens: false,
    });

    const desk = deskOf(GLM, 'allow');
    const { tokenIds } = await desk.readChat(
      [{ role: 'user', content: `a${spelled}` }],
      PLAIN,
      CALL,
    );

    assert.deepEqual(tokenIds, whole);
  });

  it('is text in the parts of a message, where only the real image has a placeholder', async () => {
    const content = [
      { type: 'text', text: 'x<|image|>' },
      { type: 'image' },
      { type: 'text', text: '<|end_of_image|>' },
    ] as const;

    assert.equal(
      await read([{ role: 'user', content }]),
      '«[gMASK]»«<sop>»«<|user|>»\nx<|image|>«<|begin_of_image|>»«<|image|>»«<|end_of_image|>»<|end_of_image|>«<|assistant|>»\n',
    );
  });

  it('is control in an earlier answer if answers show it, and text if they do not', async () => {
    assert.equal(
      await read([{ role: 'assistant', content: '<think>a</think><answer>b<|user|></answer>' }]),
      '«[gMASK]»«<sop>»«<|assistant|>»\n«<think>»a«</think>»«<answer>»b<|user|>«</answer>»«<|assistant|>»\n',
    );
  });

  const everywhere =
    '{% for m in messages %}{{ m.role }}:{{ m.name }},{{ m.metadata }},{{ m.reasoning_content }},{{ m.tool_call_id }},{% for c in m.tool_calls or [] %}{{ c.id }},{{ c.function.name }},{{ c.function.arguments | tojson }}{% for k, v in c.function.arguments.items() %}{{ k }}={{ v }}{% endfor %}{% endfor %};{% endfor %}{{ reasoning_effort }}<|user|>';

  it('is text in every other field that reaches the template', async () => {
    const t = '<|user|>';
    const message = {
      role: 'assistant',
      content: '',
      name: t,
      metadata: t,
      reasoning: `${t}</think>`,
      toolCallId: t,
      toolCalls: [{ id: t, name: t, arguments: JSON.stringify({ [t]: t }) }],
    };
    const options = { ...PLAIN, args: { reasoning_effort: t } };

    const tokens = await read([message], deskOf(everywhere), options);

    assert.equal(tokens.match(/«/g)?.length, 1);
    assert.ok(tokens.endsWith('<|user|>«<|user|>»'));
    assert.equal(tokens.match(/<\|user\|>/g)?.length, 12);
  });

  it('is text in a role that is no plain word', async () => {
    const desk = deskOf('{% for m in messages %}<|{{ m.role }}|>{% endfor %}');

    assert.equal(await read([{ role: 'user|><|system', content: '' }], desk), '<|user|><|system|>');
    assert.equal(await read([{ role: 'user', content: '' }], desk), '«<|user|>»');
  });

  it('is text where template and content write a token together', async () => {
    const desk = deskOf("{{ '<|' ~ messages[0].content ~ '|>' }}{{ '<|user' }}{{ '|>' }}");

    assert.equal(await read([{ role: 'user', content: 'system' }], desk), '<|system|>«<|user|>»');
  });

  it('is text after a template has trimmed, split, cut and joined it', async () => {
    const desk = deskOf(
      "{% set c = messages[0].content %}{{ c | trim }}</think>{{ c.split('</think>')[-1].strip() }}{{ c[1:] | tojson }}{{ c.split('</think>') | join('</think>') }}",
    );

    assert.equal(
      await read([{ role: 'user', content: ' <think>a</think> <sop> ' }], desk),
      '<think>a</think> <sop>«</think>»<sop>"<think>a</think> <sop> " <think>a«</think>» <sop> ',
    );
  });

  it('is text in the last message that the model continues', async () => {
    const options = { addGenerationPrompt: false, continueFinalMessage: true, args: {}, tools: [] };
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: '<think>so <|user|>' },
    ];

    assert.equal(
      await read(messages, deskOf(), options),
      '«[gMASK]»«<sop>»«<|user|>»\nhi«<|assistant|>»\n«<think>»so <|user|>',
    );
  });

  it('stays control in a text prompt, which the client writes as a whole', async () => {
    const { tokenIds } = await deskOf().readText('<|user|>a', { addSpecialTokens: true }, CALL);

    assert.equal(shown(tokenIds), '«<|user|>»a');
  });

  it('costs no more than its length, however often it comes', async () => {
    const content = '<think>'.repeat(20_000);

    const { tokenIds } = await within(deskOf().readChat([{ role: 'user', content }], PLAIN, CALL), {
      what: 'the prompt',
    });

    assert.equal(tokenIds.filter((one) => one === id('<think>')).length, 0);
  });
});

describe('ordinary content', () => {
  it('has the ids of the reference in every conversation', async () => {
    const desk = deskOf();
    for (const { messages, enable_thinking, rendered } of golden.templates) {
      const expected = await tokenizer.encode(rendered, { addSpecialTokens: false });
      const given = messages.map(({ role, content }): TemplateMessage => {
        if (!Array.isArray(content)) return { role, content: String(content) };
        const parts = content.map((part) => {
          if (part.type === 'text') return { type: 'text' as const, text: String(part.text) };
          return { type: part.type === 'input_audio' ? ('audio' as const) : ('image' as const) };
        });
        return { role, content: parts };
      });

      const options = { ...PLAIN, args: { enable_thinking } };
      const { tokenIds } = await desk.readChat(given, options, CALL);

      assert.deepEqual(tokenIds, expected, rendered);
    }
  });

  it('has the ids of the whole text when it is cut into pieces', async () => {
    const texts = golden.tokens.map(({ text }) => text).join(' and\n\n');
    const content = Array.from({ length: 40 }, (_, i) => `${i} ${texts}`).join('');
    const expected = await tokenizer.encode(content, { addSpecialTokens: false });

    const { tokenIds } = await deskOf().readText(content, { addSpecialTokens: false }, CALL);

    assert.ok(content.length > 100_000);
    assert.deepEqual(tokenIds, expected);
  });
});

describe('a template that prints content as it stands', () => {
  const inputs = join('test', 'testdata', 'field-inputs');
  const file = (name: string) => readFileSync(join(inputs, name), 'utf8');

  it('gets the text of a list of text parts, and lists where it loops over them', async () => {
    const list = (text: string) => [{ type: 'text', text }] as const;
    const messages = [
      { role: 'system', content: list('You are terse.') },
      { role: 'user', content: [...list('a'), { type: 'image' } as const, ...list('b')] },
      { role: 'assistant', content: [...list('Yo'), ...list('ho')] },
    ];

    assert.equal(
      await read(messages, deskOf(file('prints-content.jinja'))),
      '«<|system|>»\nYou are terse.«<|user|>»\na«<|begin_of_image|>»«<|image|>»«<|end_of_image|>»b«<|assistant|>»\nYo\nho«<|assistant|>»',
    );
  });

  it('does not get the name of a message as its metadata', async () => {
    const desk = deskOf(file('prints-metadata.jinja'));
    const message = { role: 'assistant', content: 'Yo', name: 'bot' };

    assert.equal(await read([message], desk), '«<|assistant|>»\nYo«<|assistant|>»');
    assert.equal(
      await read([{ ...message, metadata: 'm' }], desk),
      '«<|assistant|>»m\nYo«<|assistant|>»',
    );
  });

  it('gets the thoughts of earlier turns', async () => {
    const desk = deskOf(file('prints-reasoning.jinja'));

    assert.equal(
      await read([{ role: 'assistant', content: 'ans', reasoning: 'because' }], desk),
      '«<|assistant|>»\n«<think>»because«</think>»ans«<|assistant|>»',
    );
  });

  it('gets the arguments of a call as a value, numbers as they were written', async () => {
    const desk = deskOf(
      '{% for c in messages[0].tool_calls %}{{ c.function.name }}{% for k, v in c.function.arguments.items() %} {{ k }}={{ v | tojson }}{% endfor %}{% endfor %}',
    );
    const args = '{"x": 1.0, "n": 12345678901234567890, "2": ["é"], "1": {}}';
    const toolCalls = [{ id: 'c', name: 'f', arguments: args }];

    assert.equal(
      await read([{ role: 'assistant', content: '', toolCalls }], desk),
      'f x=1.0 n=12345678901234567890 2=["é"] 1={}',
    );
  });

  it('is not given calls whose arguments are no JSON', async () => {
    const toolCalls = [{ id: 'c', name: 'f', arguments: '{x' }];
    const desk = deskOf('{{ messages[0].tool_calls | tojson }}');

    await assert.rejects(
      read([{ role: 'assistant', content: '', toolCalls }], desk),
      refusal('INVALID_REQUEST', /must be JSON/, 'prompt.chat.messages[0].tool_calls'),
    );
  });
});

describe('a small prompt', () => {
  const flood = Array.from({ length: 8 }, () => 'flood '.repeat(1000));

  it('waits for one turn at most, whatever another client has to be read', async ({ mock }) => {
    const order: string[] = [];
    mock.method(tokenizer, 'encodeEach', async ([text = '']: readonly string[]) => {
      await new Promise((resolve) => setImmediate(resolve));
      order.push(text.slice(0, 5));
      return [];
    });
    const desk = deskOf();
    const readBy = (client: string, text: string) =>
      desk.readText(text, { addSpecialTokens: false }, { client, signal });

    await Promise.all([
      ...flood.map((text) => readBy('flood', text)),
      readBy('single', 'other'.repeat(1000)),
      readBy('short', 'short'),
    ]);

    assert.deepEqual(order.slice(0, 5), ['flood', 'flood', 'short', 'flood', 'other']);
  });

  it('is refused to nobody, however many wait', async () => {
    const desk = deskOf();
    const reads = flood.map((text) => desk.readText(text, { addSpecialTokens: false }, CALL));

    const lengths = (await Promise.all(reads)).map(({ tokenIds }) => tokenIds.length);

    assert.equal(new Set(lengths).size, 1);
  });
});

describe('a large prompt', () => {
  const large = 'word '.repeat(40_000);
  const quadratic =
    '{% for a in messages %}{% for b in messages %}{% for c in messages %}{% if c.content == a.content %}{% endif %}{% endfor %}{% endfor %}{% endfor %}x';
  const many = Array.from({ length: 2000 }, () => ({ role: 'user', content: 'y' }));

  it('is rendered in a thread to the same tokens', async () => {
    const { tokenIds } = await deskOf().readChat([{ role: 'user', content: large }], PLAIN, CALL);
    const expected = await tokenizer.encode(`[gMASK]<sop><|user|>\n${large}<|assistant|>\n`, {
      addSpecialTokens: false,
    });

    assert.deepEqual(tokenIds, expected);
  });

  it('is refused from the thread as it is here', async () => {
    const desk = deskOf("{{ messages[0].content | length }}{{ raise_exception('no') }}");

    await assert.rejects(
      read([{ role: 'user', content: large }], desk),
      refusal('INVALID_REQUEST', /refuses these messages: no/, 'prompt.chat.messages'),
    );
  });

  it('is read no further than the context', async () => {
    const call = { ...CALL, maxTokens: 1000 };
    const { tokenIds, isWhole } = await deskOf().readText(large, { addSpecialTokens: false }, call);

    assert.equal(isWhole, false);
    assert.ok(tokenIds.length > 1000 && tokenIds.length < 40_000, String(tokenIds.length));
  });

  it('ends when its time is over, and the desk reads on', async () => {
    const desk = deskOf(quadratic, 'text', 1000);

    await assert.rejects(
      within(read(many, desk), { what: 'the refusal' }),
      refusal('DEADLINE_EXCEEDED', /within 1 s \(key "prompt-timeout-s"\)/, 'prompt'),
    );
    assert.equal(await read([{ role: 'user', content: 'y' }], desk), 'x');
  });

  it('ends when its client leaves, and another one is rendered', async () => {
    const desk = deskOf(quadratic);
    const leaving = new AbortController();
    const lost = desk.readChat(many, PLAIN, { client: 'a', signal: leaving.signal });
    const rejected = assert.rejects(lost, { name: 'AbortError' });

    leaving.abort();

    await within(rejected, { what: 'the end of the call', boundMs: 2000 });
    const short = many.slice(0, 50).map((one) => ({ ...one, content: large.slice(0, 2000) }));
    assert.equal(await within(read(short, desk), { what: 'the next prompt' }), 'x');
  });

  it('leaves the event loop to others', async () => {
    let longestMs = 0;
    let lastMs = performance.now();
    const ticks = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - lastMs);
      lastMs = performance.now();
    }, 5);

    const content = 'word '.repeat(400_000);
    await deskOf().readChat([{ role: 'user', content }], PLAIN, { ...CALL, maxTokens: 200_000 });
    clearInterval(ticks);

    assert.ok(longestMs < 1000, `${longestMs} ms`);
  });
});

describe('a template argument without effect', () => {
  it('is told of once', async () => {
    const told: string[] = [];
    const text = '{{ enable_thinking }}';
    const source = { text, path: 'test.jinja', specialTokens: {}, contentFormat: 'auto' as const };
    const desk = new PromptDesk(tokenizer, new ChatTemplate(source), {
      contentTokens: 'text',
      timeoutMs: 60_000,
      maxWaiting: 4,
      onUnreadArg: (name) => told.push(name),
    });
    const args = { enable_thinking: false, clear_thinking: true, other: 1 };

    await desk.readChat([{ role: 'user', content: 'a' }], { ...PLAIN, args }, CALL);
    await desk.readChat([{ role: 'user', content: 'a' }], { ...PLAIN, args }, CALL);

    assert.deepEqual(told, ['clear_thinking', 'other']);
  });
});
