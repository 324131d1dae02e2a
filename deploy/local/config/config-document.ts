import { readFile } from 'node:fs/promises';
import { isCollection, isNode, isSeq } from 'yaml';
import { parseYaml } from '#mesh/command-line/yaml-file.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';

/** A key of a mapping or an index of a list. */
export type ConfigKey = string | number;

/** A parsed YAML file that knows the line of each key. */
export interface ConfigDocument {
  /** Path of the file as the user wrote it. */
  readonly path: string;
  readonly root: Readonly<Record<string, unknown>>;
  /** Returns `path:line` of a key, or `path` if it is not in the file. */
  where(...keys: readonly ConfigKey[]): string;
}

export async function readConfigDocument(path: string): Promise<ConfigDocument> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause: unknown) {
    const why = errorMessage(cause);
    throw new MeshError('INVALID_REQUEST', `cannot read the configuration: ${why}`, { cause });
  }
  return parseConfigDocument(path, text);
}

export function parseConfigDocument(path: string, text: string): ConfigDocument {
  const { document, lines, value: root } = parseYaml({ path }, text);
  if (root !== null && (typeof root !== 'object' || Array.isArray(root))) {
    throw new MeshError('INVALID_REQUEST', `${path}: must hold keys and values`);
  }
  const where = (...keys: readonly ConfigKey[]) => {
    const offset = keyOffset(document.contents, keys);
    return offset === undefined ? path : `${path}:${lines.linePos(offset).line}`;
  };
  return { path, root: { ...root }, where };
}

/** Returns the offset in the text at which the last of nested `keys` starts. */
function keyOffset(contents: unknown, keys: readonly ConfigKey[]): number | undefined {
  let node = contents;
  let offset: number | undefined;
  for (const key of keys) {
    const found = entryOf(node, key);
    if (found === undefined) return undefined;
    if (isNode(found.start)) offset = found.start.range?.[0];
    node = found.value;
  }
  return offset;
}

interface Entry {
  /** The node at which the entry starts. */
  readonly start: unknown;
  readonly value: unknown;
}

function entryOf(node: unknown, key: ConfigKey): Entry | undefined {
  if (typeof key === 'number') {
    const item: unknown = isSeq(node) ? node.items[key] : undefined;
    return item === undefined ? undefined : { start: item, value: item };
  }
  if (!isCollection(node)) return undefined;
  const pair = node.items.find((item) => keyOf(item) === key);
  if (typeof pair !== 'object' || pair === null || !('key' in pair)) return undefined;
  return { start: pair.key, value: 'value' in pair ? pair.value : undefined };
}

function keyOf(item: unknown): string | undefined {
  if (typeof item !== 'object' || item === null || !('key' in item)) return undefined;
  const { key } = item;
  const isScalar = typeof key === 'object' && key !== null && 'value' in key;
  return isScalar ? String(key.value) : String(key);
}
