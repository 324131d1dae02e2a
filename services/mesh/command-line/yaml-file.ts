import { type Document, LineCounter, parseDocument, visit, type YAMLError } from 'yaml';
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

const QUOTE = 'text that begins with * must be in quotes';

/** Reads a file of YAML; a refusal names the file and, where there is one, the line. */
export function parseYaml({ path, param }: YamlName, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const refuse = (what: string, offset?: number): never => {
    const line = offset === undefined ? '' : `:${lines.linePos(offset).line}`;
    throw new MeshError('INVALID_REQUEST', `${path}${line}: ${what}`, param ? { param } : {});
  };
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

function describe({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'another document begins; there may be one only';
  return code === 'BAD_ALIAS' ? `${message}; ${QUOTE}` : message;
}
