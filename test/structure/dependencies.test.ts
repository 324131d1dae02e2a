import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { partOf, readSourceTree, type SourceFile } from './source-tree.ts';

const TREE = readSourceTree();
const FILES = new Map(TREE.map((file) => [file.path, file]));

/** What each part may import besides itself. Tests may import everything. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  protos: [],
  native: [],
  'services/mesh': ['protos'],
  'services/encoder': ['services/mesh', 'native', 'protos'],
  'services/llm-backbone': ['services/mesh', 'native', 'protos'],
  'services/vision-encoder': ['services/encoder', 'services/mesh', 'native', 'protos'],
  'services/speech-encoder': ['services/encoder', 'services/mesh', 'native', 'protos'],
  gateway: ['services/mesh', 'protos'],
  deploy: ['services/mesh', 'protos'],
};

/** The supervisor knows the processes by their options alone. */
const OPTION_FILES = /^(gateway|services\/[a-z-]+)\/options\.ts$/;

function isAllowed(importer: string, imported: string): boolean {
  const from = partOf(importer);
  const to = partOf(imported);
  if (from === to || from === 'test') return true;
  if (from === 'deploy' && OPTION_FILES.test(imported)) return true;
  return ALLOWED[from]?.includes(to) ?? false;
}

/** Files the outside starts: processes, commands, tests and what they or a bootstrap verb run. */
const ENTRY_POINTS = [
  /\.test\.ts$/,
  /\/main\.ts$/,
  /^deploy\/examples\//,
  /^deploy\/local\/dev\.ts$/,
  /^test\/perf\/(bench|row-sender)\.ts$/,
  /^test\/parity\/parity\.ts$/,
  /^test\/eval\/eval\.ts$/,
  /^test\/contract\/deploy\/(scripted-process|run-supervisor)\.ts$/,
];

/** A cycle of imports through `start`, or undefined; `done` holds files known to be in none. */
function findCycle(
  start: SourceFile,
  done: Set<string>,
  trail: readonly string[] = [],
): readonly string[] | undefined {
  if (trail.includes(start.path)) return [...trail.slice(trail.indexOf(start.path)), start.path];
  if (done.has(start.path)) return undefined;
  for (const path of start.runtimeImports) {
    const next = FILES.get(path);
    const cycle = next && findCycle(next, done, [...trail, start.path]);
    if (cycle !== undefined) return cycle;
  }
  done.add(start.path);
  return undefined;
}

describe('the source tree', () => {
  it('imports only in the directions the design allows', () => {
    const wrong = TREE.flatMap(({ path, imports }) =>
      imports.filter((one) => !isAllowed(path, one)).map((one) => `${path} imports ${one}`),
    );

    assert.deepEqual(wrong, []);
  });

  it('imports only files that exist', () => {
    const missing = TREE.flatMap(({ path, imports }) =>
      imports.filter((one) => !FILES.has(one)).map((one) => `${path} imports ${one}`),
    );

    assert.deepEqual(missing, []);
  });

  it('reaches every file from an entry point', () => {
    const reached = new Set<string>();
    const pending = TREE.filter(({ path }) => ENTRY_POINTS.some((entry) => entry.test(path)));
    for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
      if (reached.has(file.path)) continue;
      reached.add(file.path);
      pending.push(...file.imports.flatMap((path) => FILES.get(path) ?? []));
    }
    const idle = TREE.map(({ path }) => path).filter((path) => !reached.has(path));
    // Protoc generates a file for each proto, needed or not.
    assert.deepEqual(
      idle.filter((path) => partOf(path) !== 'protos'),
      [],
    );
  });

  it('has no import cycle at run time', () => {
    const done = new Set<string>();
    const cycles = TREE.flatMap((file) => {
      const cycle = findCycle(file, done);
      return cycle === undefined ? [] : [cycle.join(' → ')];
    });

    assert.deepEqual(cycles, []);
  });

  it('names no file after nothing', () => {
    const vague = /(^|\/)(utils?|helpers?|common|misc|new_.*|.*_v2)(\/|\.ts$)/;

    assert.deepEqual(
      TREE.map(({ path }) => path).filter((path) => vague.test(path) && partOf(path) !== 'protos'),
      [],
    );
  });

  it('keeps files at a size one can hold in mind', (t) => {
    const large = TREE.filter(({ path, numLines }) => partOf(path) !== 'protos' && numLines > 300);
    for (const { path, numLines } of large) t.diagnostic(`${path}: ${numLines} lines, over 300`);

    assert.deepEqual(
      large.filter(({ numLines }) => numLines > 600),
      [],
    );
  });
});
