import type { Attachment, ChatBody, ChatOptions, Turn } from './conversation.ts';
import { chatBody } from './conversation.ts';

/** Stands around the name of a file whose bytes belong there; no keyboard and no font has it. */
const MARK = '\uE000';
const FILE = new RegExp(`${MARK}(.+?)${MARK}`, 'g');
const FILE_ONCE = new RegExp(FILE.source);

/** A request as programs that send the same. */
export interface Snippets {
  readonly curl: string;
  readonly python: string;
}

export interface SnippetPlace {
  /** Address of the server, such as `https://phone.example:8000`, without a slash at its end. */
  readonly origin: string;
  /** Whether clients need a key; it is never written into a snippet. */
  readonly needsKey: boolean;
}

/**
 * Writes a chat request as a command line and as Python. Files stand in both by their names, as the
 * page showed them, since their bytes would hide all else.
 */
export function chatSnippets(
  turns: readonly Turn[],
  options: ChatOptions,
  place: SnippetPlace,
): Snippets {
  const names = fileNames(turns);
  const body = chatBody(turns, options, (file) => `${MARK}${names.get(file) ?? file.name}${MARK}`);
  return { curl: curlChat(body, place), python: pythonChat(body, place) };
}

/** Writes a request to write a recording down. */
export function transcriptionSnippets(
  file: Attachment,
  model: string,
  { origin, needsKey }: SnippetPlace,
): Snippets {
  const name = safeName(file.name);
  const curl = [
    `curl ${shellText(`${origin}/v1/audio/transcriptions`)}`,
    ...keyHeader(needsKey),
    `-F ${shellText(`file=@${name}`)}`,
    `-F ${shellText(`model=${model}`)}`,
  ].join(' \\\n  ');
  const python = [
    ...pythonClient({ origin, needsKey }, []),
    `with open(${pythonText(name)}, "rb") as file:`,
    `    answer = client.audio.transcriptions.create(model=${pythonText(model)}, file=file)`,
    'print(answer.text)',
    '',
  ].join('\n');
  return { curl, python };
}

/** Names the files of a conversation: as they are called, with a number where two are called alike. */
function fileNames(turns: readonly Turn[]): ReadonlyMap<Attachment, string> {
  const names = new Map<Attachment, string>();
  const files = turns.flatMap((turn) => (turn.role === 'user' ? turn.attachments : []));
  for (const file of files) {
    const plain = safeName(file.name);
    let name = plain;
    for (let n = 2; [...names.values()].includes(name); n++) {
      name = plain.replace(/(\.[^.]*)?$/, (end) => `-${n}${end}`);
    }
    names.set(file, name);
  }
  return names;
}

/** Keeps what every shell and every file system takes as part of a name. */
function safeName(name: string): string {
  const safe = name.replaceAll(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[-.]+/, '');
  return safe === '' ? 'file' : safe;
}

function curlChat(body: ChatBody, { origin, needsKey }: SnippetPlace): string {
  const json = JSON.stringify(body, undefined, 2);
  // The body comes by standard input, for an argument holds 128 KB at most.
  const escaped = json.replaceAll(/[\\$`]/g, (char) => `\\${char}`);
  const data = escaped.replaceAll(FILE, (_, name: string) => {
    return `$(base64 < ${shellText(name)} | tr -d '\\n')`;
  });
  const command = [
    `curl -N ${shellText(`${origin}/v1/chat/completions`)}`,
    ...keyHeader(needsKey),
    "-H 'Content-Type: application/json'",
    '--data-binary @- <<JSON',
  ].join(' \\\n  ');
  return `${command}\n${data}\nJSON\n`;
}

function keyHeader(needsKey: boolean): string[] {
  return needsKey ? ['-H "Authorization: Bearer $AUTOGLM_API_KEY"'] : [];
}

function shellText(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function pythonChat(body: ChatBody, place: SnippetPlace): string {
  const { enable_thinking, return_reasoning, messages, model, temperature, max_tokens } = body;
  const hasFiles = FILE_ONCE.test(JSON.stringify(messages));
  const extra = { enable_thinking, return_reasoning };
  const lines = [
    ...pythonClient(place, hasFiles ? ['base64'] : []),
    ...(hasFiles ? PYTHON_ENCODED : []),
    'stream = client.chat.completions.create(',
    `    model=${pythonText(model)},`,
    `    messages=${pythonValue(messages, 4)},`,
    `    temperature=${temperature},`,
    ...(max_tokens === undefined ? [] : [`    max_tokens=${max_tokens},`]),
    '    stream=True,',
    '    stream_options={"include_usage": True},',
    `    extra_body=${pythonValue(extra, 4)},`,
    ')',
    'for chunk in stream:',
    '    for choice in chunk.choices:',
    '        print(choice.delta.content or "", end="", flush=True)',
    '',
  ];
  return lines.join('\n');
}

const PYTHON_ENCODED = [
  'def encoded(path):',
  '    with open(path, "rb") as file:',
  '        return base64.b64encode(file.read()).decode()',
  '',
  '',
];

function pythonClient({ origin, needsKey }: SnippetPlace, modules: readonly string[]): string[] {
  const standard = [...modules, ...(needsKey ? ['os'] : [])];
  const key = needsKey ? 'os.environ["AUTOGLM_API_KEY"]' : '"none"';
  return [
    ...standard.map((name) => `import ${name}`),
    ...(standard.length > 0 ? [''] : []),
    'from openai import OpenAI',
    '',
    `client = OpenAI(base_url=${pythonText(`${origin}/v1`)}, api_key=${key})`,
    '',
    '',
  ];
}

/** Writes a JSON value as Python, indented by `depth` spaces. */
function pythonValue(value: unknown, depth: number): string {
  const [inner, outer] = [' '.repeat(depth + 4), ' '.repeat(depth)];
  if (Array.isArray(value)) {
    const items = value.map((item) => `${inner}${pythonValue(item, depth + 4)},\n`);
    return items.length === 0 ? '[]' : `[\n${items.join('')}${outer}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const items = Object.entries(value).map(
      ([key, item]) => `${inner}${pythonText(key)}: ${pythonValue(item, depth + 4)},\n`,
    );
    return `{\n${items.join('')}${outer}}`;
  }
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'string') return pythonMedia(value) ?? pythonText(value);
  return value === null || value === undefined ? 'None' : String(value);
}

/** Writes a text with a file's bytes in it as an expression; undefined if there are none in it. */
function pythonMedia(text: string): string | undefined {
  const match = FILE_ONCE.exec(text);
  if (match === null) return undefined;
  const call = `encoded(${pythonText(match[1] ?? '')})`;
  const before = text.slice(0, match.index);
  return before === '' ? call : `${pythonText(before)} + ${call}`;
}

/** JSON's escapes are Python's, but for a pair of surrogates, which JSON writes as they are. */
function pythonText(text: string): string {
  return JSON.stringify(text);
}
