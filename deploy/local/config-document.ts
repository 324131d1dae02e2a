import { readFile } from 'node:fs/promises';
import { isCollection, isNode, LineCounter, parseDocument } from 'yaml';
import { MeshError } from '#mesh/errors.ts';

/** A parsed YAML file that can say on which line a key stands. */
export interface ConfigDocument {
  /** As the user named it. */
  readonly path: string;
  readonly root: Readonly<Record<string, unknown>>;
  /** `path:line` of a key, or `path` when it is not in the file. */
  where(...keys: readonly string[]): string;
}

/** Configuration without a file: every key has its default. */
export const EMPTY_DOCUMENT: ConfigDocument = {
  path: 'defaults',
  root: {},
  where: () => 'defaults',
};

export async function readConfigDocument(path: string): Promise<ConfigDocument> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError('INVALID_REQUEST', `cannot read the configuration: ${why}`, { cause });
  }
  return parseConfigDocument(path, text);
}

export function parseConfigDocument(path: string, text: string): ConfigDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0]);
    throw new MeshError('INVALID_REQUEST', `${path}:${line}: ${problem.message}`);
  }
  const root: unknown = document.toJS();
  if (root !== null && (typeof root !== 'object' || Array.isArray(root))) {
    throw new MeshError('INVALID_REQUEST', `${path}: must hold keys and values`);
  }
  const where = (...keys: readonly string[]) => {
    const offset = keyOffset(document.contents, keys);
    return offset === undefined ? path : `${path}:${lines.linePos(offset).line}`;
  };
  return { path, root: { ...root }, where };
}

/** Where the last of nested `keys` starts in the text. */
function keyOffset(contents: unknown, keys: readonly string[]): number | undefined {
  let node = contents;
  let offset: number | undefined;
  for (const key of keys) {
    if (!isCollection(node)) return undefined;
    const pair = node.items.find((item) => keyOf(item) === key);
    if (typeof pair !== 'object' || pair === null || !('key' in pair)) return undefined;
    if (isNode(pair.key)) offset = pair.key.range?.[0];
    node = 'value' in pair ? pair.value : undefined;
  }
  return offset;
}

function keyOf(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null || !('key' in item)) return undefined;
  const { key } = item;
  const isScalar = typeof key === 'object' && key !== null && 'value' in key;
  return isScalar ? String(key.value) : String(key);
}
