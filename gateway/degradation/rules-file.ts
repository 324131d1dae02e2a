import { readFile } from 'node:fs/promises';
import { type Static, Type } from 'typebox';
import Value from 'typebox/value';
import { parseYaml } from '#mesh/command-line/yaml-file.ts';
import { errorMessage } from '#mesh/error-message.ts';
import { MeshError } from '#mesh/errors.ts';
import type { RuleSet } from './rules.ts';

const MAX_RULES = 1000;
const MAX_PATTERNS = 100;
const MAX_PATTERN_CHARS = 200;
/** A name goes into a header. */
const NAME = '^[A-Za-z0-9._-]{1,64}$';

const ruleFile = Type.Object(
  {
    language: Type.String({ minLength: 1, maxLength: 35 }),
    rules: Type.Array(
      Type.Object(
        {
          name: Type.String({ pattern: NAME }),
          patterns: Type.Array(Type.String({ minLength: 1, maxLength: MAX_PATTERN_CHARS }), {
            minItems: 1,
            maxItems: MAX_PATTERNS,
          }),
          answers: Type.Record(Type.String(), Type.String({ minLength: 1 })),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: MAX_RULES },
    ),
  },
  { additionalProperties: false },
);

/** Reads a file of rules; a refusal names the file and the line. */
export async function readRules(path: string): Promise<RuleSet> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause: unknown) {
    throw refusal(`cannot read the rules (key "rules-file"): ${errorMessage(cause)}`, cause);
  }
  return parseRules(path, text);
}

/** Reads rules from YAML or JSON, which is YAML, too. */
export function parseRules(path: string, text: string): RuleSet {
  const { document, lines, value } = parseYaml({ path, param: 'rulesFile' }, text);
  const where = (keys: readonly string[]) => {
    const node: unknown = document.getIn(keys.map(indexOrName), true);
    const offset = offsetOf(node) ?? offsetOf(document.contents) ?? 0;
    return `${path}:${lines.linePos(offset).line}: ${keys.join('.')}`;
  };
  if (!Value.Check(ruleFile, value)) {
    const [wrong] = Value.Errors(ruleFile, value);
    const keys = wrong?.instancePath.split('/').slice(1) ?? [];
    const message = wrong?.keyword === 'boolean' ? 'is not known' : wrong?.message;
    throw refusal(`${where(keys)} ${message ?? 'is malformed'}`);
  }
  checkAnswers(value, where);
  return {
    language: value.language,
    rules: value.rules.map(({ answers, ...rule }) => {
      return { ...rule, answers: new Map(Object.entries(answers)) };
    }),
  };
}

type RuleFile = Static<typeof ruleFile>;

function checkAnswers(
  { language, rules }: RuleFile,
  where: (keys: readonly string[]) => string,
): void {
  const names = new Set<string>();
  for (const [index, { name, answers }] of rules.entries()) {
    const at = ['rules', String(index)];
    if (names.has(name)) throw refusal(`${where([...at, 'name'])}: ${name} is there twice`);
    names.add(name);
    if (Object.hasOwn(answers, language)) continue;
    const message = `must have one in ${language}, the language of the file`;
    throw refusal(`${where([...at, 'answers'])} ${message}`);
  }
}

function indexOrName(key: string): string | number {
  return /^\d+$/.test(key) ? Number(key) : key;
}

function offsetOf(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  const { range } = node;
  const [start]: unknown[] = Array.isArray(range) ? range : [];
  return typeof start === 'number' ? start : undefined;
}

function refusal(message: string, cause?: unknown): MeshError {
  return new MeshError('INVALID_REQUEST', message, { param: 'rulesFile', cause });
}
