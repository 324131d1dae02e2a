import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ChatTemplate, type RenderOptions } from '#backbone/prompt/chat-template.ts';
import { type ContentFormat, detectContentFormat } from '#backbone/prompt/content-format.ts';
import type { TemplateMessage, TemplatePart } from '#backbone/prompt/template-message.ts';
import { refusal } from '#test/refusal.ts';
import { golden, TEXT_MODEL } from '#test/unit/llm-backbone/text-model.ts';

const GLM = readFileSync(join(TEXT_MODEL, 'chat_template.jinja'), 'utf8');
const PLAIN = { addGenerationPrompt: true, continueFinalMessage: false, args: {}, tools: [] };
const CONTINUE = { addGenerationPrompt: false, continueFinalMessage: true, args: {}, tools: [] };

/** Renders messages with a template; the text without its origins. */
function render(
  template: ChatTemplate,
  messages: readonly TemplateMessage[],
  options: RenderOptions,
): string {
  return template.render(messages, options).value;
}

function templateOf(text: string, contentFormat: ContentFormat | 'auto' = 'auto') {
  return new ChatTemplate({
    text,
    path: 'test.jinja',
    specialTokens: { eos_token: '<eos>' },
    contentFormat,
  });
}

const PART_TYPES: Readonly<Record<string, TemplatePart>> = {
  image_url: { type: 'image' },
  input_audio: { type: 'audio' },
};

/** Converts a message of the golden file to the form that the backbone passes to templates. */
function messageOf({ role, content }: { role: string; content: unknown }): TemplateMessage {
  if (!Array.isArray(content)) return { role, content: String(content) };
  const parts = content.map(
    (part): TemplatePart => PART_TYPES[part.type] ?? { type: 'text', text: part.text },
  );
  return { role, content: parts };
}

const SCREEN: TemplateMessage = {
  role: 'user',
  content: [
    { type: 'text', text: 'a' },
    { type: 'image' },
    { type: 'audio' },
    { type: 'text', text: 'b' },
  ],
};

describe('ChatTemplate', () => {
  it('renders every conversation of the reference', () => {
    for (const { messages, enable_thinking, rendered } of golden.templates) {
      const args = { enable_thinking };
      assert.equal(render(templateOf(GLM), messages.map(messageOf), { ...PLAIN, args }), rendered);
    }
    assert.equal(golden.templates.length, 15);
  });

  it('hands parts over as a list where the template loops over them', () => {
    assert.match(
      render(templateOf(GLM), [SCREEN], PLAIN),
      /\na<\|begin_of_image\|>.*<\|begin_of_audio\|><\|audio\|><\|end_of_audio\|>b<\|assistant\|>/,
    );
  });

  it('flattens parts in string mode: placeholders first, joined by newlines', () => {
    const rendered = render(templateOf(GLM, 'string'), [SCREEN], PLAIN);

    assert.equal(
      rendered,
      '[gMASK]<sop><|user|>\n<|begin_of_image|><|image|><|end_of_image|>\n<|begin_of_audio|><|audio|><|end_of_audio|>\na\nb<|assistant|>\n',
    );
  });

  it('offers the special tokens to the template', () => {
    assert.equal(render(templateOf('{{ eos_token }}'), [], PLAIN), '<eos>');
  });

  it('passes allowed arguments on and no others', () => {
    const template = templateOf('{{ reasoning_effort }}|{{ secret }}|{{ messages | length }}');
    const args = { reasoning_effort: 'high', secret: 'x', messages: [1, 2, 3] };

    assert.equal(render(template, [SCREEN], { ...PLAIN, args }), 'high||1');
  });

  it('refuses an enable_thinking that is not a boolean', () => {
    assert.throws(
      () => render(templateOf(GLM), [], { ...PLAIN, args: { enable_thinking: 'no' } }),
      refusal('INVALID_REQUEST', /true or false/, 'prompt.chat.template_args.enable_thinking'),
    );
  });

  it('reports what the template itself refuses', () => {
    assert.throws(
      () => render(templateOf("{{ raise_exception('roles must alternate') }}"), [], PLAIN),
      refusal('INVALID_REQUEST', /roles must alternate/, 'prompt.chat.messages'),
    );
  });

  it('names the file of a template that cannot be read', () => {
    assert.throws(
      () => templateOf('{% for %}'),
      refusal('INVALID_REQUEST', /test\.jinja: not a Jinja template/),
    );
  });

  it('refuses a prompt that grows beyond all bounds', () => {
    const message = { role: 'user', content: 'x'.repeat(1024) };
    const template = templateOf('{% for i in range(20000) %}{{ messages[0].content }}{% endfor %}');

    assert.throws(
      () => render(template, [message], PLAIN),
      refusal('INVALID_REQUEST', /characters/),
    );
  });
});

describe('continue_final_message', () => {
  it('leaves the last message open', () => {
    const messages = [
      { role: 'user', content: 'hi' },
      { role: 'assistant', content: 'I think ' },
    ];

    assert.equal(
      render(templateOf(GLM), messages, CONTINUE),
      '[gMASK]<sop><|user|>\nhi<|assistant|>\nI think ',
    );
  });

  it('drops trailing space the template trimmed', () => {
    const template = templateOf('{% for m in messages %}[{{ m.content.strip() }}]{% endfor %}');

    assert.equal(render(template, [{ role: 'assistant', content: ' so ' }], CONTINUE), '[so');
  });

  it('continues the last text part of a list', () => {
    const content = [{ type: 'image' }, { type: 'text', text: 'half' }] as const;

    assert.ok(render(templateOf(GLM), [{ role: 'user', content }], CONTINUE).endsWith('half'));
  });

  it('ends the prompt in the last message, though its text stands elsewhere too', () => {
    const messages = [
      { role: 'user', content: 'say yes or no' },
      { role: 'assistant', content: 'no' },
    ];
    const template = templateOf('{% for m in messages %}{{ m.content }};{% endfor %} yes or no?');

    assert.equal(render(template, messages, CONTINUE), 'say yes or no;no');
  });

  it('refuses a last message that is not shown, though its text stands elsewhere', () => {
    const template = templateOf(
      '{% for m in messages %}{% if m.role == "user" %}{{ m.content }}{% endif %}{% endfor %}',
    );
    const messages = [
      { role: 'user', content: 'hi there' },
      { role: 'observer', content: 'hi' },
    ];

    assert.throws(
      () => render(template, messages, CONTINUE),
      refusal('INVALID_REQUEST', /needs a last message/, 'prompt.chat.continue_final_message'),
    );
  });

  it('refuses a last message without text', () => {
    assert.throws(
      () => render(templateOf(GLM), [{ role: 'assistant', content: '' }], CONTINUE),
      refusal('INVALID_REQUEST', /needs a last message/, 'prompt.chat.continue_final_message'),
    );
  });

  it('refuses a long last message that the template does not show as fast as a short one', () => {
    const template = templateOf(
      '{% for m in messages %}{% if m.role == "user" %}{{ m.content }}{% endif %}{% endfor %}',
    );
    const shown = { role: 'user', content: 'a'.repeat(1_200_000) };
    const content = `${'a'.repeat(600_000)}b`;

    assert.throws(
      () => render(template, [shown, { role: 'assistant', content }], CONTINUE),
      refusal('INVALID_REQUEST', /needs a last message/, 'prompt.chat.continue_final_message'),
    );
  });

  it('refuses to open an assistant message as well', () => {
    assert.throws(
      () => render(templateOf(GLM), [SCREEN], { ...CONTINUE, addGenerationPrompt: true }),
      refusal('INVALID_REQUEST', /exclude each other/),
    );
  });
});

describe('detectContentFormat', () => {
  const cases: { name: string; template: string; format: ContentFormat }[] = [
    { name: 'a loop over message.content', template: GLM, format: 'openai' },
    {
      name: "a loop over message['content']",
      template: "{% for m in messages %}{% for p in m['content'] %}{% endfor %}{% endfor %}",
      format: 'openai',
    },
    {
      name: 'a loop over a variable set to the content',
      template:
        '{% for m in messages %}{% set c = m.content %}{% for p in c %}{% endfor %}{% endfor %}',
      format: 'openai',
    },
    {
      name: 'a loop over filtered content',
      template: '{% for m in messages %}{% for p in m.content | list %}{% endfor %}{% endfor %}',
      format: 'openai',
    },
    {
      name: 'content that is only written',
      template: '{% for m in messages %}{{ m.content }}{% endfor %}',
      format: 'string',
    },
  ];
  for (const { name, template, format } of cases) {
    it(`reads ${name} as ${format}`, () => {
      assert.equal(detectContentFormat(template), format);
    });
  }
});
