/**
 * Separates what a model thinks from what it says. Phone agents write
 * `<think>…</think><answer>do(…)</answer>`, others draw a box around their last words; the tags are
 * part of the text, which is kept and sent as it came.
 */

export interface AnswerText {
  readonly thoughts: string;
  /** What is said, without tags. */
  readonly words: string;
}

const THINK = '<think>';
const THINK_END = '</think>';
const ANSWER = '<answer>';
const ANSWER_END = '</answer>';
const BOX = ['<|begin_of_box|>', '<|end_of_box|>'] as const;
const TAGS = [THINK, THINK_END, ANSWER, ANSWER_END, ...BOX];

/** An answer whose tag begins it or a line of it; elsewhere the text speaks about the tag. */
const ANSWERED = /^([\s\S]*\n)?[ \t]*<answer>([\s\S]*)$/;

/**
 * Reads an answer as far as it has come. The beginning of a tag at its end is left out while the
 * rest may follow (`isUnfinished`).
 */
export function answerText(
  content: string,
  { isUnfinished }: { readonly isUnfinished: boolean },
): AnswerText {
  const known = isUnfinished ? withoutCutTag(content) : content;
  const { thoughts, rest } = thoughtsOf(known);
  return { thoughts: thoughts.trim(), words: wordsOf(rest).trim() };
}

function withoutCutTag(text: string): string {
  const start = text.lastIndexOf('<');
  const end = start < 0 ? '' : text.slice(start);
  const isCut = end !== '' && TAGS.some((tag) => tag.length > end.length && tag.startsWith(end));
  return isCut ? text.slice(0, start) : text;
}

/** Finds the thoughts at the beginning; their first tag may stand in the prompt. */
function thoughtsOf(text: string): { readonly thoughts: string; readonly rest: string } {
  const isOpened = text.trimStart().startsWith(THINK);
  const start = isOpened ? text.indexOf(THINK) + THINK.length : 0;
  const end = text.indexOf(THINK_END);
  if (end < 0) {
    return isOpened ? { thoughts: text.slice(start), rest: '' } : { thoughts: '', rest: text };
  }
  return { thoughts: text.slice(start, end), rest: text.slice(end + THINK_END.length) };
}

function wordsOf(text: string): string {
  const [, before = '', inside] = ANSWERED.exec(text) ?? [];
  const said = inside === undefined ? text : before + inside.replace(ANSWER_END, '');
  return BOX.reduce((words, tag) => words.replaceAll(tag, ''), said);
}
