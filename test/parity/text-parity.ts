import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Tokenizer } from '#backbone/checkpoint/tokenizer.ts';
import { detokenize } from '#backbone/output/detokenizer.ts';
import { ChatTemplate } from '#backbone/prompt/chat-template.ts';
import type { TemplateMessage, TemplatePart } from '#backbone/prompt/template-message.ts';
import { exactRow, type ParityRow, textRow } from './report.ts';

/** Type of `golden.json` in a directory that holds a tokenizer and a template and no weights. */
export interface TextGolden {
  readonly tokens: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly decoded: string;
  }[];
  readonly templates: readonly {
    readonly messages: readonly {
      readonly role: string;
      readonly content: string | readonly { readonly type: string; readonly text?: string }[];
    }[];
    readonly enable_thinking: boolean | null;
    readonly rendered: string;
  }[];
}

/** Checks that strings to ids and back, and conversations to prompts, are all exactly equal. */
export async function textParity(directory: string, golden: TextGolden): Promise<ParityRow[]> {
  const tokenizer = await Tokenizer.load(directory);
  const rows: ParityRow[] = [];
  for (const [i, { text, ids, decoded }] of golden.tokens.entries()) {
    const ours = await tokenizer.encode(text, { addSpecialTokens: false });
    rows.push(exactRow(`tokens${i}.ids`, ours, ids));
    const back = detokenize(tokenizer.vocabulary, ids, { skipSpecialTokens: false });
    rows.push(textRow(`tokens${i}.decoded`, back, decoded));
  }
  const template = await loadTemplate(directory);
  for (const [i, { messages, enable_thinking, rendered }] of golden.templates.entries()) {
    const ours = template.render(messages.map(templateMessage), {
      addGenerationPrompt: true,
      continueFinalMessage: false,
      tools: [],
      args: { enable_thinking },
    });
    rows.push(textRow(`templates${i}`, ours.value, rendered));
  }
  return rows;
}

type GoldenMessage = TextGolden['templates'][number]['messages'][number];

/** Converts a message of the golden file to the form that the backbone passes to templates. */
function templateMessage({ role, content }: GoldenMessage): TemplateMessage {
  if (typeof content === 'string') return { role, content };
  const parts = content.map(({ type, text }): TemplatePart => {
    if (type === 'text') return { type, text: text ?? '' };
    return { type: type.includes('audio') ? 'audio' : 'image' };
  });
  return { role, content: parts };
}

async function loadTemplate(directory: string): Promise<ChatTemplate> {
  const path = join(directory, 'chat_template.jinja');
  const text = await readFile(path, 'utf8');
  return new ChatTemplate({ text, path, specialTokens: {}, contentFormat: 'auto' });
}
