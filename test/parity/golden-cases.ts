/** One prompt of a `golden.json` with the reference's answer. */
export interface GoldenCase {
  readonly name: string;
  readonly content: readonly GoldenPart[];
  readonly enableThinking: boolean | null;
  /** The rendered prompt's ids, placeholders expanded; null if the file has none. */
  readonly promptIds: readonly number[] | null;
  readonly tokens: readonly number[];
  /** Gap of the two best logits at each step, divided by the standard deviation of the logits. */
  readonly margins: readonly number[];
  /** Whether the reference continued past end ids; otherwise it stopped there. */
  readonly ignoresEnd: boolean;
}

export type GoldenPart =
  | { readonly type: 'text'; readonly text: string }
  /** Path inside the model directory. */
  | { readonly type: 'image' | 'audio'; readonly path: string };

interface PromptEntry {
  readonly text: string;
  readonly greedy: readonly number[];
  readonly margins: readonly number[];
}

interface PhoneEntry {
  readonly group: string;
  readonly content: readonly (
    | { readonly type: 'text'; readonly text: string }
    | { readonly type: 'image'; readonly image: string }
    | { readonly type: 'audio'; readonly audio: string }
  )[];
  readonly enable_thinking: boolean;
  readonly tokens: readonly number[];
  readonly prompt_ids: readonly number[];
}

export interface PictureEntry extends PromptEntry {
  readonly images: readonly number[];
  readonly rope_delta: number;
}

/** The kinds of `golden.json` beside weights; their keys tell them apart. */
export type Golden =
  | { readonly prompts: readonly PromptEntry[] }
  | { readonly cases: readonly PhoneEntry[] | readonly PictureEntry[] };

/** Reads `golden.json` as cases that can be sent to a mesh. */
export function readCases(golden: Golden): GoldenCase[] {
  if ('prompts' in golden) return golden.prompts.map(promptCase);
  return golden.cases.map((entry, i) =>
    'content' in entry ? phoneCase(entry, i) : pictureCase(entry, i),
  );
}

function promptCase({ text, greedy, margins }: PromptEntry, i: number): GoldenCase {
  return {
    name: `prompt${i}`,
    content: [{ type: 'text', text }],
    enableThinking: null,
    promptIds: null,
    tokens: greedy,
    margins,
    ignoresEnd: true,
  };
}

function pictureCase(entry: PictureEntry, i: number): GoldenCase {
  const pictures = entry.images.map((n) => ({ type: 'image' as const, path: `images/${n}.png` }));
  const words = promptCase(entry, i);
  return { ...words, name: `case${i}`, content: [...pictures, ...words.content] };
}

function phoneCase(entry: PhoneEntry, i: number): GoldenCase {
  return {
    name: `case${i} (${entry.group})`,
    content: entry.content.map(phonePart),
    enableThinking: entry.enable_thinking,
    promptIds: entry.prompt_ids,
    tokens: entry.tokens,
    margins: [],
    ignoresEnd: false,
  };
}

function phonePart(part: PhoneEntry['content'][number]): GoldenPart {
  if (part.type === 'text') return part;
  return part.type === 'image'
    ? { type: 'image', path: part.image }
    : { type: 'audio', path: part.audio };
}
