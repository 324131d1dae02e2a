import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import ts from 'typescript';
import { FIELD_PAGE, fieldPage, ROUTE_FIELDS } from '#gateway/field-page/field-page.ts';
import type { FieldTable } from '#gateway/openai/fields/field-use.ts';
import { PACKAGE_ROOT } from '#mesh/paths.ts';

/** The types of requests in the clients' packages, by the route that takes them. */
const CLIENT_TYPES: readonly (readonly [path: string, file: string, ...names: string[]])[] = [
  [
    '/v1/chat/completions',
    'openai/resources/chat/completions/completions.d.ts',
    'ChatCompletionCreateParamsBase',
  ],
  ['/v1/completions', 'openai/resources/completions.d.ts', 'CompletionCreateParamsBase'],
  ['/v1/embeddings', 'openai/resources/embeddings.d.ts', 'EmbeddingCreateParams'],
  [
    '/v1/audio/transcriptions',
    'openai/resources/audio/transcriptions.d.ts',
    'TranscriptionCreateParamsBase',
  ],
  ['/v1/responses', 'openai/resources/responses/responses.d.ts', 'ResponseCreateParamsBase'],
  ['/v1/messages', '@anthropic-ai/sdk/resources/messages/messages.d.ts', 'MessageCreateParamsBase'],
  [
    '/v1/messages',
    '@anthropic-ai/sdk/resources/beta/messages/messages.d.ts',
    'MessageCreateParamsBase',
  ],
  [
    '/v1/messages/count_tokens',
    '@anthropic-ai/sdk/resources/messages/messages.d.ts',
    'MessageCountTokensParams',
  ],
  [
    '/v1/messages/count_tokens',
    '@anthropic-ai/sdk/resources/beta/messages/messages.d.ts',
    'MessageCountTokensParams',
  ],
];

const FILES = CLIENT_TYPES.map(([, file]) => join(PACKAGE_ROOT, 'node_modules', file));
const PROGRAM = ts.createProgram(FILES, {
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  strict: true,
  types: [],
});
const CHECKER = PROGRAM.getTypeChecker();

/** Returns the type of an interface or an alias that a file declares. */
function typeIn(file: string, name: string): ts.Type {
  const source = PROGRAM.getSourceFile(join(PACKAGE_ROOT, 'node_modules', file));
  assert(source !== undefined, file);
  const found = source.statements.find(
    (one) =>
      (ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)) && one.name.text === name,
  );
  assert(found !== undefined, `${file} has no ${name}`);
  return CHECKER.getTypeAtLocation(found);
}

/** Returns the objects that a value of a type may be, or may be a list of. */
function objectsOf(type: ts.Type): ts.Type[] {
  if (type.isUnion()) return type.types.flatMap(objectsOf);
  const isObject = (type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) !== 0;
  if (!isObject || type.getCallSignatures().length > 0) return [];
  const item = CHECKER.getIndexTypeOfType(type, ts.IndexKind.Number);
  return item === undefined ? [type] : objectsOf(item);
}

/** Returns the paths of the fields of a type that a table does not name. */
function missing(type: ts.Type, table: FieldTable, at = ''): string[] {
  return objectsOf(type).flatMap((one) =>
    CHECKER.getPropertiesOfType(one).flatMap((property) => {
      const path = at + property.name;
      const use = table.get(property.name);
      if (use === undefined) return [path];
      if (use.kind !== 'honoured' || use.fields === undefined) return [];
      return missing(CHECKER.getTypeOfSymbol(property), use.fields, `${path}.`);
    }),
  );
}

describe(FIELD_PAGE, () => {
  it('is what the tables and schemas give', () => {
    const page = readFileSync(join(PACKAGE_ROOT, FIELD_PAGE), 'utf8');

    assert.equal(page, fieldPage(), '"npm run gen" writes it');
  });

  for (const [path, file, name = ''] of CLIENT_TYPES) {
    it(`names for POST ${path} every field of ${name} in ${file}`, () => {
      const table = ROUTE_FIELDS.find((one) => one.path === path)?.uses;
      assert(table !== undefined);

      assert.deepEqual([...new Set(missing(typeIn(file, name), table))], []);
    });
  }

  it('would miss a field that a table does not name, in an object too', () => {
    const [[, file = '', name = ''] = []] = CLIENT_TYPES;
    const table = new Map(ROUTE_FIELDS[0]?.uses);
    const messages = table.get('messages');
    assert(messages?.kind === 'honoured' && messages.fields !== undefined);
    table.delete('temperature');
    table.set('messages', {
      kind: 'honoured',
      fields: new Map([...messages.fields].filter(([one]) => one !== 'tool_call_id')),
    });

    const lost = new Set(missing(typeIn(file, name), table));

    assert.deepEqual([...lost], ['messages.tool_call_id', 'temperature']);
  });
});
