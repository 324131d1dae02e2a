import {
  type Document,
  Lexer,
  LineCounter,
  Parser,
  parseDocument,
  visit,
  type YAMLError,
} from 'yaml';
import { MeshError } from '#mesh/errors.ts';

/** A file of YAML, or JSON, which is YAML too. */
export interface YamlFile {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly value: unknown;
}

/** How a file is called in refusals. */
export interface YamlName {
  readonly path: string;
  /** The option that names it. */
  readonly param?: string;
}

/** Most lists and mappings within each other. */
const MAX_DEPTH = 100;

const QUOTE = 'text that begins with * must be in quotes';

/** Reads a file of YAML; a refusal names the file and, where there is one, the line. */
export function parseYaml({ path, param }: YamlName, text: string): YamlFile {
  const lines = new LineCounter();
  const refuseAt = (place: string, what: string): never => {
    throw new MeshError('INVALID_REQUEST', `${path}${place}: ${what}`, param ? { param } : {});
  };
  const deepLine = lineTooDeep(text);
  if (deepLine !== undefined) {
    refuseAt(`:${deepLine}`, `more than ${MAX_DEPTH} lists and mappings are nested`);
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const refuse = (what: string, offset?: number): never =>
    refuseAt(offset === undefined ? '' : `:${lines.linePos(offset).line}`, what);
  const [problem] = document.errors;
  if (problem !== undefined) refuse(describe(problem), problem.pos[0]);
  visit(document, {
    Alias: (_, alias, above) => {
      const named = alias.resolve(document);
      const offset = alias.range?.[0];
      if (named === undefined) refuse(`nothing is called &${alias.source}; ${QUOTE}`, offset);
      if (above.some((one) => one === named)) refuse(`*${alias.source} holds itself`, offset);
    },
  });
  try {
    return { document, lines, value: document.toJS() };
  } catch (error: unknown) {
    // So the library refuses aliases of aliases whose values would fill the memory.
    if (!(error instanceof ReferenceError)) throw error;
    return refuse('its aliases stand for too many values; write out what is needed');
  }
}

/**
 * Returns the line in which lists and mappings are nested too deep. What the library makes of them calls itself at
 * each level, and a process that has no stack left may end at once.
 */
function lineTooDeep(text: string): number | undefined {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    Array.from(parser.next(lexeme));
    if (parser.stack.length > MAX_DEPTH && depthOf(parser) > MAX_DEPTH) {
      return text.slice(0, parser.offset).split('\n').length;
    }
  }
  return undefined;
}

function depthOf({ stack }: Parser): number {
  return stack.filter(({ type }) => /^(?:block-map|block-seq|flow-collection)$/.test(type)).length;
}

function describe({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'another document begins; there may be one only';
  return code === 'BAD_ALIAS' ? `${message}; ${QUOTE}` : message;
}
