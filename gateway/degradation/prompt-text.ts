import type { ChatMessage, Prompt } from '#protos/autoglm/llm/v1/prompt.ts';

/** Scripts that tell a language, the more telling first: Japanese is written with Han, too. */
const SCRIPTS: readonly (readonly [RegExp, string])[] = [
  [/[\p{Script=Hiragana}\p{Script=Katakana}]/u, 'ja'],
  [/\p{Script=Hangul}/u, 'ko'],
  [/\p{Script=Han}/u, 'zh'],
];

/** Returns what the user said last, or the text to continue; "" if there is none to be read. */
export function promptText(prompt: Prompt | undefined): string {
  switch (prompt?.form?.$case) {
    case 'chat':
      return messageText(prompt.form.value.messages.findLast(({ role }) => role === 'user'));
    case 'text':
      return prompt.form.value.text;
    case 'tokens':
    case undefined:
      return '';
  }
}

function messageText(message: ChatMessage | undefined): string {
  const content = message?.content;
  if (content?.$case === 'text') return content.value;
  const parts = content?.value.parts ?? [];
  return parts.map(({ part }) => (part?.$case === 'text' ? part.value : '')).join('');
}

/** Returns the language that a text's script tells, `ja`, `ko` or `zh`; undefined for others. */
export function languageOf(text: string): string | undefined {
  return SCRIPTS.find(([script]) => script.test(text))?.[1];
}
